//! The files that pages load. Each has the sum of its bytes in its name, so a browser may keep it for as long as it likes.

use std::sync::LazyLock;

/// A file that pages load.
pub(crate) struct Asset {
    /// Its name below [`FOLDER`], as in `hookwheel-0a1b2c3d.css`.
    pub(crate) name: String,
    pub(crate) content_type: &'static str,
    pub(crate) text: &'static str,
}

impl Asset {
    fn new(stem: &str, ending: &str, content_type: &'static str, text: &'static str) -> Self {
        Self { name: format!("{stem}-{:08x}.{ending}", crc32c::crc32c(text.as_bytes())), content_type, text }
    }

    /// The path at which it is served.
    pub(crate) fn path(&self) -> String {
        format!("{FOLDER}{}", self.name)
    }
}

/// Finds a file by its name. A file of another version of the service is not found.
pub(crate) fn find(name: &str) -> Option<&'static Asset> {
    [&*STYLE, &*ICON].into_iter().find(|asset| asset.name == name)
}

/// The one style sheet.
pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("hookwheel", "css", "text/css; charset=utf-8", include_str!("hookwheel.css")));

/// The icon of the browser's tab.
pub(crate) static ICON: LazyLock<Asset> = LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("icon.svg")));

/// The path of the folder that they seem to lie in.
pub(crate) const FOLDER: &str = "/ui/assets/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_the_sum_of_its_bytes_alone() {
        assert_eq!(find(&STYLE.name).map(|asset| asset.text), Some(STYLE.text));
        assert!(find("hookwheel.css").is_none() && find("hookwheel-00000000.css").is_none());
        assert_eq!(STYLE.path().strip_prefix(FOLDER), Some(&*STYLE.name));
    }

    #[test]
    fn the_style_sheet_is_as_light_as_promised() {
        assert!(STYLE.text.len() <= 16 << 10, "{} bytes", STYLE.text.len());
    }
}
