//! Where the admin socket of a running service is: an installed one's, or that of `dev`.

use std::ffi::OsString;
use std::path::PathBuf;

/// Where a service may be, in the order it is looked for.
pub(crate) fn usual_sockets(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let dev = [runtime_socket(variable), dev_folder(variable).map(|folder| folder.join(DEV_SOCKET))];
    std::iter::once(ADMIN_SOCKET.into()).chain(dev.into_iter().flatten()).collect()
}

/// `dev.sock` in the user's runtime folder, where the session has one.
pub(crate) fn runtime_socket(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    folder(variable, "XDG_RUNTIME_DIR").map(|runtime| runtime.join("hookwheel").join(DEV_SOCKET))
}

/// Where `dev` keeps its data: `$XDG_DATA_HOME/hookwheel/dev`, else `~/.local/share/hookwheel/dev`.
pub(crate) fn dev_folder(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = || folder(variable, "HOME").map(|home| home.join(".local/share"));
    folder(variable, "XDG_DATA_HOME").or_else(home).map(|data| data.join("hookwheel/dev"))
}

/// The XDG Base Directory Specification: a path that is not absolute is to be ignored.
fn folder(variable: &dyn Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    variable(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Where a service installed as a package listens.
const ADMIN_SOCKET: &str = "/run/hookwheel/admin.sock";

/// The name of `dev`'s socket.
const DEV_SOCKET: &str = "dev.sock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_looked_for_in_order() {
        let variables = |name: &str| match name {
            "XDG_RUNTIME_DIR" => Some("/run/user/1000".into()),
            "HOME" => Some("/home/ada".into()),
            "XDG_DATA_HOME" => Some("not/absolute".into()),
            _ => None,
        };
        let expected =
            ["/run/hookwheel/admin.sock", "/run/user/1000/hookwheel/dev.sock", "/home/ada/.local/share/hookwheel/dev/dev.sock"];
        assert_eq!(usual_sockets(&variables), expected.map(PathBuf::from));
        assert_eq!(usual_sockets(&|_| None), [PathBuf::from(ADMIN_SOCKET)]);
    }
}
