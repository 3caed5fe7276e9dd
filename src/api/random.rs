//! Random bytes from the operating system: for secrets, keys and ids.

use super::response::problem::Problem;

/// Bytes for one secret, to be used for nothing else.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Problem::Random)?;
    Ok(bytes)
}
