//! What a relay holds, as a file of lines, and such a file into a relay.

mod age;
pub(in crate::cli) mod export;
pub(in crate::cli) mod import;
mod input;
mod svix;

use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::args::secret;
use crate::cli::output::exit::Failure;

/// The passphrase in a file; one line end is cut.
fn passphrase(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = secret(file)?;
    if text.is_empty() {
        return Err(Failure::usage(format!("the passphrase in {} is empty", file.display()), None));
    }
    Ok(text)
}
