//! How large the body of each call may be.

use super::Call;
use crate::domain::schema;

impl Call {
    /// The largest body that this call takes; more is a 413.
    pub(in crate::api) fn body_bytes_max(self, is_ndjson: bool) -> usize {
        match self {
            Self::Publish if is_ndjson => NDJSON_BYTES_MAX,
            Self::Import => NDJSON_BYTES_MAX,
            Self::Publish | Self::ReplayEvent => EVENT_BYTES_MAX,
            Self::TestFilter => EVENT_BYTES_MAX + BODY_BYTES_MAX,
            Self::PutEventType => EVENT_TYPE_BYTES_MAX,
            Self::ImportEventTypes => DOCUMENT_BYTES_MAX,
            _ => BODY_BYTES_MAX,
        }
    }
}

/// One published event.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// An event type: its schema, and all that is said beside it.
const EVENT_TYPE_BYTES_MAX: usize = schema::BYTES_MAX + (128 << 10);

/// An OpenAPI document. The largest public ones have some 10 MB; the part with their webhooks is far smaller.
const DOCUMENT_BYTES_MAX: usize = 4 << 20;

/// Many published events.
const NDJSON_BYTES_MAX: usize = 16 << 20;

/// What any other call takes.
const BODY_BYTES_MAX: usize = 256 * 1024;
