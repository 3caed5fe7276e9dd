//! Files that a passphrase seals, in the form of `age` (age-encryption.org/v1), so that `age -d` opens what is written here and what
//! `age -p` seals is opened here.
//!
//! The crate `age` would bring some hundred others, a second generation of this one's cryptography among them. A passphrase needs of its
//! form no more than this: a header with the file's key, wrapped by scrypt, and the payload in chunks of 64 KiB, each with its tag.

use std::io::{self, BufRead, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How a sealed file begins.
pub(super) const MAGIC: &str = "age-encryption.org/v1";

/// How a sealed file in letters begins, which is not read.
pub(super) const ARMOR: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

/// Why a sealed file cannot be opened, or read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("it is not sealed by a passphrase alone: `age -d` opens it with the key that it was sealed for")]
    NoPassphrase,
    #[error("its header is no header of age")]
    Header,
    #[error("opening it would take more than 1 GiB of memory: its scrypt work factor is {0}")]
    Work(u8),
    #[error("the passphrase is not the one that sealed it")]
    Passphrase,
    #[error("its header was changed")]
    Changed,
    #[error("it was cut off or changed behind {0} bytes of what it holds")]
    Torn(u64),
    #[error("{0}")]
    Random(getrandom::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Seals what is written. [`Sealing::finish`] must be called, else the file is cut off.
pub(super) struct Sealing<W> {
    to: W,
    stream: Stream,
    plain: Zeroizing<Vec<u8>>,
}

impl<W: Write> Sealing<W> {
    pub(super) fn new(mut to: W, passphrase: &str) -> Result<Self, Error> {
        let (mut file_key, mut salt, mut nonce) = (Zeroizing::new([0; FILE_KEY]), [0; SALT], [0; NONCE]);
        for bytes in [&mut file_key[..], &mut salt[..], &mut nonce[..]] {
            getrandom::fill(bytes).map_err(Error::Random)?;
        }
        let wrapped = cipher(&wrapping_key(passphrase, &salt, WORK)).encrypt(&Nonce::default(), &file_key[..]);
        let wrapped = STANDARD_NO_PAD.encode(wrapped.map_err(|_| Error::Header)?);
        let head = format!("{MAGIC}\n-> scrypt {} {WORK}\n{wrapped}\n---", STANDARD_NO_PAD.encode(salt));
        let tag = STANDARD_NO_PAD.encode(mac(&derived(&*file_key, &[], b"header")[..], &[head.as_bytes()]));
        writeln!(to, "{head} {tag}")?;
        to.write_all(&nonce)?;
        Ok(Self { to, stream: Stream::new(&*file_key, &nonce), plain: Zeroizing::new(Vec::with_capacity(CHUNK)) })
    }

    /// Seals the last chunk, and gives back what was written to.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.chunk(true)?;
        Ok(self.to)
    }

    fn chunk(&mut self, is_last: bool) -> io::Result<()> {
        let nonce = self.stream.nonce(is_last);
        let sealed = self.stream.cipher.encrypt(&nonce, &self.plain[..]);
        self.to.write_all(&sealed.map_err(|_| io::Error::other("a chunk cannot be sealed"))?)?;
        self.plain.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits for more: the last one is marked.
        if self.plain.len() == CHUNK {
            self.chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.plain.len());
        self.plain.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens what was sealed, chunk by chunk: nothing is given out that was not found whole.
pub(super) struct Opening<R> {
    from: R,
    stream: Stream,
    plain: Zeroizing<Vec<u8>>,
    /// How much of `plain` was read.
    read: usize,
    opened: u64,
    is_over: bool,
}

impl<R: BufRead> Opening<R> {
    /// `from` begins with the header.
    pub(super) fn new(mut from: R, passphrase: &str) -> Result<Self, Error> {
        let mut lines = || header_line(&mut from);
        let (magic, stanza, wrapped, end) = (lines()?, lines()?, lines()?, lines()?);
        if magic != MAGIC {
            return Err(Error::Header);
        }
        let (salt, work) = scrypt_stanza(&stanza)?;
        let sealed: Vec<u8> = decoded(&wrapped).filter(|bytes| bytes.len() == FILE_KEY + TAG).ok_or(Error::Header)?;
        let opened = cipher(&wrapping_key(passphrase, &salt, work)).decrypt(&Nonce::default(), &sealed[..]);
        let file_key = Zeroizing::new(opened.map_err(|_| Error::Passphrase)?);
        let tag = end.strip_prefix("--- ").and_then(decoded).ok_or(Error::Header)?;
        let head = [&*magic, "\n", &stanza, "\n", &wrapped, "\n---"].map(str::as_bytes);
        let mut expected = keyed(&derived(&file_key, &[], b"header")[..]);
        head.iter().for_each(|part| expected.update(part));
        expected.verify_slice(&tag).map_err(|_| Error::Changed)?;
        let mut nonce = [0; NONCE];
        from.read_exact(&mut nonce).map_err(|_| Error::Torn(0))?;
        let stream = Stream::new(&file_key, &nonce);
        Ok(Self { from, stream, plain: Zeroizing::default(), read: 0, opened: 0, is_over: false })
    }

    fn chunk(&mut self) -> Result<(), Error> {
        let mut sealed = Vec::with_capacity(CHUNK + TAG);
        (&mut self.from).take((CHUNK + TAG) as u64).read_to_end(&mut sealed)?;
        let is_last = self.from.fill_buf()?.is_empty();
        let nonce = self.stream.nonce(is_last);
        let opened = self.stream.cipher.decrypt(&nonce, &sealed[..]);
        self.plain = Zeroizing::new(opened.map_err(|_| Error::Torn(self.opened))?);
        self.opened += self.plain.len() as u64;
        (self.read, self.is_over) = (0, is_last);
        Ok(())
    }
}

impl<R: BufRead> Read for Opening<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.plain.len() && !self.is_over {
            self.chunk().map_err(|error| match error {
                Error::Io(error) => error,
                error => io::Error::new(io::ErrorKind::InvalidData, error),
            })?;
        }
        let left = &self.plain[self.read..];
        let taken = left.len().min(into.len());
        into[..taken].copy_from_slice(&left[..taken]);
        self.read += taken;
        Ok(taken)
    }
}

/// The chunks of one file: each has the number of its place, and the last one is marked.
struct Stream {
    cipher: ChaCha20Poly1305,
    number: u64,
}

impl Stream {
    fn new(file_key: &[u8], nonce: &[u8]) -> Self {
        Self { cipher: cipher(&derived(file_key, nonce, b"payload")), number: 0 }
    }

    /// The nonce of the next chunk: 11 bytes of its number and one that says whether it is the last.
    fn nonce(&mut self, is_last: bool) -> Nonce {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.number.to_be_bytes());
        nonce[11] = u8::from(is_last);
        self.number += 1;
        nonce.into()
    }
}

/// A line of the header, which is short and ASCII.
fn header_line(from: &mut impl BufRead) -> Result<String, Error> {
    let mut line = Vec::new();
    from.by_ref().take(HEADER_LINE_MAX).read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\n").ok_or(Error::Header)?;
    String::from_utf8(line.to_vec()).map_err(|_| Error::Header)
}

/// The salt and the work factor in `-> scrypt SALT LOG_N`.
fn scrypt_stanza(line: &str) -> Result<([u8; SALT], u8), Error> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["->", "scrypt", salt, work] => {
            let salt = decoded(salt).and_then(|salt| salt.try_into().ok()).ok_or(Error::Header)?;
            let work = work.parse().ok().filter(|work| (1..64).contains(work)).ok_or(Error::Header)?;
            if work > WORK_MAX { Err(Error::Work(work)) } else { Ok((salt, work)) }
        }
        ["->", ..] => Err(Error::NoPassphrase),
        _ => Err(Error::Header),
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}

/// The key that a passphrase makes, which wraps the file's key.
fn wrapping_key(passphrase: &str, salt: &[u8; SALT], work: u8) -> Zeroizing<[u8; 32]> {
    let params = scrypt::Params::new(work, BLOCK, 1).expect("the work factor was checked");
    let salt = [SCRYPT_LABEL, salt].concat();
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(passphrase.as_bytes(), &salt, &params, &mut *key).expect("32 bytes are a length that scrypt makes");
    key
}

/// HKDF-SHA-256 (RFC 5869) of 32 bytes.
fn derived(key: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let extracted = Zeroizing::new(mac(salt, &[key]));
    Zeroizing::new(mac(&*extracted, &[info, &[1]]))
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&Key::from(*key))
}

/// Sizes of the form, in bytes.
const FILE_KEY: usize = 16;
const SALT: usize = 16;
const NONCE: usize = 16;
const TAG: usize = 16;
const CHUNK: usize = 64 << 10;

/// The longest line of a header that a passphrase needs.
const HEADER_LINE_MAX: u64 = 256;

const SCRYPT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";

/// The block size of scrypt, by the form.
const BLOCK: u32 = 8;

/// The work factor of files that are written, as a power of two: 128 MiB of memory and some half a second. `age` takes 18, which a small
/// machine may not have.
const WORK: u8 = 17;

/// The highest work factor that is read: 1 GiB.
const WORK_MAX: u8 = 20;

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn sealed(plain: &[u8], passphrase: &str) -> Vec<u8> {
        let mut sealing = Sealing::new(Vec::new(), passphrase).expect("sealed");
        sealing.write_all(plain).expect("written");
        sealing.finish().expect("finished")
    }

    fn opened(sealed: &[u8], passphrase: &str) -> Result<Vec<u8>, String> {
        let mut plain = Vec::new();
        // A small buffer, so that chunks are put together of many parts.
        let opening = Opening::new(BufReader::with_capacity(1000, sealed), passphrase);
        opening.map_err(|error| error.to_string())?.read_to_end(&mut plain).map_err(|error| error.to_string())?;
        Ok(plain)
    }

    #[test]
    fn what_is_sealed_opens_with_its_passphrase_alone() {
        for length in [0, 1, CHUNK, CHUNK + 1] {
            let plain = vec![7; length];
            assert_eq!(opened(&sealed(&plain, "correct horse"), "correct horse"), Ok(plain), "{length} bytes");
        }
        let wrong = opened(&sealed(b"x", "correct horse"), "battery").expect_err("another one");
        assert!(wrong.contains("passphrase is not the one"), "{wrong}");
    }

    #[test]
    fn a_file_that_was_cut_or_changed_is_not_read_to_its_end() {
        let whole = sealed(&vec![7; 2 * CHUNK], "p");
        for cut in [whole.len() - 1, whole.len() - CHUNK - TAG] {
            let told = opened(&whole[..cut], "p").expect_err("cut");
            assert!(told.contains("cut off or changed behind"), "{told}");
        }
        let mut flipped = whole.clone();
        flipped[whole.len() - 100] ^= 1;
        assert!(opened(&flipped, "p").is_err());
    }

    #[test]
    fn what_no_passphrase_opens_is_told_as_such() {
        let head = |stanza: &str| format!("{MAGIC}\n{stanza}\nAAAA\n--- AAAA\n");
        let told = |stanza: &str| opened(head(stanza).as_bytes(), "p").expect_err("no file");
        assert!(told("-> X25519 AAAA").contains("sealed for"));
        assert!(told("-> scrypt AAAAAAAAAAAAAAAAAAAAAA 30").contains("work factor is 30"));
        assert!(told("-> scrypt AAAA 10").contains("no header"));
    }

    /// The age crate (pyrage 1.3) sealed it.
    #[test]
    fn a_file_that_age_sealed_opens() {
        let sealed = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sealed.age"));
        assert_eq!(opened(sealed, "correct horse").as_deref(), Ok(&b"battery staple\n"[..]));
    }
}
