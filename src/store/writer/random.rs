//! Random draws from the operating system.

use crate::store::error::Error;

/// A number in [0, 1), from 53 random bits.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds exactly")]
pub(in crate::store) fn unit() -> Result<f64, Error> {
    let bits = getrandom::u64()? >> 11;
    Ok(bits as f64 / (1_u64 << 53) as f64)
}

/// The tail of a new id.
pub(in crate::store) fn tail() -> Result<[u8; 10], Error> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
