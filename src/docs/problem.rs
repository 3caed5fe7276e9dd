//! The types of problems that the API answers with (RFC 9457), each with its status, its cause, and what to do about it.
//!
//! A problem's `type` is the address of its page in the documentation, which is made of what stands here.

/// Makes the enum and its pages, so that each type is listed once.
macro_rules! problem_types {
    ($($variant:ident: $status:literal $name:literal $title:literal, cause $cause:literal, remedy $remedy:literal;)*) => {
        /// A type of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum ProblemType {
            $(#[doc = $title] $variant,)*
        }

        impl ProblemType {
            /// Every type, by status.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            pub(crate) const fn page(self) -> &'static Page {
                match self {
                    $(Self::$variant => &Page {
                        name: $name,
                        uri: concat!("/docs/problems/", $name),
                        status: $status,
                        title: $title,
                        cause: $cause,
                        remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

/// The page of a type of problem. The texts are Markdown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The last part of the page's address.
    pub(crate) name: &'static str,
    /// The value of `type` in the problem: the path of the page on the service that answers.
    pub(crate) uri: &'static str,
    /// The HTTP status of every answer of this type.
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) remedy: &'static str,
}

problem_types! {
    BadJson: 400 "bad-json" "The body is not JSON",
        cause "The body is not the JSON that the call takes: it breaks off, has a syntax error, or is not an object. `detail` says at which byte.",
        remedy "Send one JSON object (RFC 8259) in UTF-8. For many events at once send `Content-Type: application/x-ndjson`, one object a line.";
    Malformed: 400 "malformed" "The request cannot be read",
        cause "Something besides the body cannot be read: a header such as `Hookwheel-Tenant`, a percent sign in the path, or the framing of the request.",
        remedy "Correct what `detail` names. `Hookwheel-Tenant` is `PROVIDER/TENANT` or `PROVIDER/*`.";
    NoKey: 401 "no-key" "The request has no valid key",
        cause "No key was sent, or the key is unknown, was revoked or has expired. There may also be no key yet.",
        remedy "Send `Authorization: Bearer KEY` or `X-API-Key: KEY`. Make a key with `hookwheel keys new NAME`, and look keys up with `hookwheel keys list`.";
    Forbidden: 403 "forbidden" "The key may not do this",
        cause "The key is valid and lacks the scope that the call needs, or is for another tenant or provider than the one that the request names.",
        remedy "Use a key with the scope that `detail` names, or have one made: `hookwheel keys new NAME --scopes publish,read,manage`.";
    NotFound: 404 "not-found" "There is no such thing",
        cause "The path, or the webhook, event, delivery, tenant or other thing that the request names does not exist, or belongs to another tenant. `missing` says which kind of thing it is.",
        remedy "Check the id. What has ended is deleted after its retention. A tenant comes to be by the config file, by a key or a webhook made for it, or by its first event where the provider has `create_tenants = true`.";
    Method: 405 "method-not-allowed" "The path does not take this method",
        cause "The path exists, and no call with this method stands there.",
        remedy "Use one of the methods in the header `Allow`.";
    SlowBody: 408 "slow-body" "The body did not come in time",
        cause "No byte of the body came for 20 seconds, or far fewer than a working connection brings.",
        remedy "Send the request again. Check proxies between the client and the service, and that `Content-Length` is not more than what is sent.";
    Conflict: 409 "conflict" "It does not fit what is there",
        cause "The call contradicts something that exists or is under way, which `detail` names.",
        remedy "Do what `detail` says, or wait until what is under way has ended, and call again.";
    FileOwned: 409 "file-owned" "It belongs to the config file",
        cause "The webhook, key or tenant stands in the config file, and the file alone changes it. Enable, test, retry and, without `secret_file`, rotate-secret work all the same.",
        remedy "Change the file that `detail` names and run `hookwheel reload`.";
    IdTaken: 409 "id-taken" "The id was used for another event",
        cause "An event with this `id`, `uid` or `Idempotency-Key` was published before with other content.",
        remedy "Give the new event an id or uid of its own. To repeat a publication send the very same `uid`, `type`, `tenant`, `occurred_at`, `attributes`, `channels`, `connection` and bytes of `data`: that is answered 200 with the first answer.";
    Limit: 409 "limit-reached" "A limit is reached",
        cause "The key, provider or tenant has as many webhooks, keys or event types as it may have. `detail` names the limit.",
        remedy "Delete what is not used, then call again.";
    NameTaken: 409 "name-taken" "The name is taken",
        cause "Another webhook of the tenant has this name or `uid`, or another tenant of the provider has this `uid`. By it one is to be found.",
        remedy "Take another one, or take it away from the holder that `detail` names.";
    Removed: 409 "removed" "It was taken out of the config file",
        cause "The webhook, or its tenant or provider, stood in the config file and was taken out. Its log is kept, and nothing is sent to it.",
        remedy "Put it back into the file and run `hookwheel reload`, or delete the webhook.";
    Disabled: 409 "webhook-disabled" "The webhook is disabled",
        cause "What was asked for would send something to a webhook that is switched off, by hand or after too many failures in a row.",
        remedy "Mend the endpoint, then `POST /v1/webhooks/{id}/enable` (`hookwheel webhooks enable NAME`). What was held goes out then.";
    WrongState: 409 "wrong-state" "Its state does not allow this",
        cause "The delivery, webhook or connection is in a state in which the call makes no sense: the delivery has ended, nothing is held, a purge is under way.",
        remedy "Look at it again: another caller may have been first. `detail` says what would be possible.";
    TooLarge: 413 "too-large" "The body is too large",
        cause "The body is longer than this call takes: 1 MiB for an event, 16 MiB and 10,000 lines for NDJSON, 256 KiB for most other calls.",
        remedy "Send less. Put a large document where the receiver can fetch it, and its address into the event.";
    MediaType: 415 "media-type" "The body has a type that is not taken",
        cause "The body is compressed, or `dev`, which asks for no key, got a body whose `Content-Type` a web page could have sent.",
        remedy "Send `Content-Type: application/json` (or `application/x-ndjson`) and no `Content-Encoding`.";
    ConfigRefused: 422 "config-refused" "The new config was not taken",
        cause "A reload found faults in the config files, or a change that needs a restart. The old config stays in force. `errors` lists each fault with its place.",
        remedy "Mend each fault; `try` in `errors` can be pasted. `hookwheel check` finds the same without a reload.";
    Invalid: 422 "invalid" "The request has wrong fields",
        cause "The request can be read, and some of its members or parameters are unknown, missing or outside their bounds. `errors` lists each with a JSON pointer, or `?name` for a parameter of the query.",
        remedy "Correct the fields that `errors` names. All that is wrong is told at once.";
    JsonLimit: 422 "json-limit" "The JSON is beyond what is taken",
        cause "The body is JSON by its grammar, and has something that no event keeps: more than 128 levels, text that is not UTF-8, or a byte order mark.",
        remedy "Send UTF-8 without a byte order mark, and nest less deeply.";
    RateLimited: 429 "rate-limited" "Too much in too short a time",
        cause "The key or the tenant has a `rate_limit`, or something was done more often than once in the time that `detail` names.",
        remedy "Wait as long as the header `Retry-After` says. `RateLimit` and `RateLimit-Policy` tell the limit.";
    WrongKeys: 429 "wrong-keys" "Too many wrong keys from this address",
        cause "The address has sent more than ten keys a second that open nothing. Right keys from the same address are taken all the while.",
        remedy "Find the client with the wrong key. Look the key up with `hookwheel keys list`.";
    Internal: 500 "internal" "The service failed",
        cause "The store could not be read, or the operating system gave no random numbers. The service's log says why.",
        remedy "Look at the log, then at the disk. `hookwheel status` shows how the service is.";
    Busy: 503 "busy" "The service is short of something",
        cause "Too many events wait to be written, all connections are at work, or there is no memory for the answer at this moment.",
        remedy "Try again after `Retry-After`. Publish with an `id` or an `Idempotency-Key`, so that a repeated event is not doubled.";
    JournalLost: 503 "journal-lost" "Something was lost and nobody has seen it yet",
        cause "The start found the journal missing or damaged, so what was published last may be lost. No event is taken until somebody knows.",
        remedy "Stop the service, run `hookwheel doctor`, then `hookwheel doctor --acknowledge`.";
    Stopping: 503 "stopping" "The service is stopping",
        cause "The service was told to stop and takes nothing new. What was answered before is on disk.",
        remedy "Try again in a few seconds, when it has started again.";
    DiskLow: 507 "disk-low" "The disk is nearly full",
        cause "So little of the disk is left that nothing is taken which needs room.",
        remedy "Free space on the disk. The service goes on by itself when there is room.";
    StoreFull: 507 "store-full" "The store is full",
        cause "What may not be deleted yet, such as deliveries that wait, fills `max_bytes`.",
        remedy "Raise `[storage] max_bytes`, or end what waits: `hookwheel webhooks purge NAME --status pending`. `hookwheel status --tables` shows what takes the room.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_page_of_its_own() {
        let pages: Vec<&Page> = ProblemType::ALL.iter().map(|kind| kind.page()).collect();
        for (at, page) in pages.iter().enumerate() {
            assert!(pages[..at].iter().all(|other| other.name != page.name && other.title != page.title), "{page:?}");
            assert!(page.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{page:?}");
            assert!(page.cause.ends_with('.') && page.remedy.ends_with('.') && !page.title.ends_with('.'), "{page:?}");
        }
        assert!(pages.is_sorted_by_key(|page| page.status), "they are listed by status");
    }
}
