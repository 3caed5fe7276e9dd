//! A false service at an admin socket, which answers what the real one seldom or never answers.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

use super::ran::{self, Ran};

/// The false service. It ends when it is dropped.
pub(crate) struct Pretended {
    folder: TempDir,
    heard: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pretended {
    /// Starts it. `answer` makes the status and the body of a request's first line.
    pub(crate) fn start(answer: impl Fn(&str) -> (u16, &'static str) + Send + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(folder.path().join(SOCKET)).expect("bound");
        let (heard, is_over) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (lines, over) = (Arc::clone(&heard), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().take_while(|_| !over.load(Ordering::Relaxed)) {
                let line = serve(stream.expect("a caller"), &answer);
                lines.lock().expect("no panic in between").push(line);
            }
        });
        Self { folder, heard, is_over, thread: Some(thread) }
    }

    /// Runs a command of the binary against it.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Ran {
        ran::run(self.folder.path(), &[("HOOKWHEEL_SOCKET", SOCKET)], arguments)
    }

    /// The method and path of every request so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("no panic in between").clone()
    }
}

impl Drop for Pretended {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = UnixStream::connect(self.folder.path().join(SOCKET));
        self.thread.take().map(JoinHandle::join);
    }
}

/// Serves one request of a few bytes, which come at once. Returns its method and path.
fn serve(mut stream: UnixStream, answer: &impl Fn(&str) -> (u16, &'static str)) -> String {
    let mut request = vec![0; 4_096];
    let length = stream.read(&mut request).expect("a request");
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    let line = request.split(" HTTP/1.1").next().unwrap_or_default().to_owned();
    let (status, body) = answer(&line);
    write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("answered");
    line
}

const SOCKET: &str = "pretended.sock";
