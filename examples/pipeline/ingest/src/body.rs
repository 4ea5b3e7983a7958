//! A request's body, read whole but not without end.

use std::{fmt::Display, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

/// A client that still sends does not see an answer: a connection that is closed with bytes unread
/// is reset. So what is too large is read on for a while, and dropped.
const DRAINED_BYTES: usize = 64 << 20;
const DRAINED_WITHIN: Duration = Duration::from_secs(5);

/// How long a client may take for its body.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// Why a body cannot be had.
#[derive(Debug)]
pub(crate) enum Error {
    /// It is larger than it may be.
    TooLarge,
    /// The client went away, or did not speak HTTP.
    Unreadable(String),
}

/// Reads a body of at most so many bytes.
pub(crate) async fn read<B>(mut body: B, max_bytes: usize) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let (mut whole, mut seen) = (BytesMut::new(), 0);
    let mut deadline = Instant::now() + READ_WITHIN;
    loop {
        let is_too_large = seen > max_bytes;
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            _ if is_too_large => return Err(Error::TooLarge),
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(Err(error))) => return Err(Error::Unreadable(error.to_string())),
            Err(_) => return Err(Error::Unreadable("the body did not come in time".to_owned())),
        };
        let Some(data) = frame.data_ref() else { continue };
        seen += data.len();
        if seen <= max_bytes {
            whole.extend_from_slice(data);
        } else if !is_too_large {
            whole = BytesMut::new();
            deadline = Instant::now() + DRAINED_WITHIN;
        }
        if seen > max_bytes.saturating_add(DRAINED_BYTES) {
            return Err(Error::TooLarge);
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn a_body_may_be_as_large_as_is_allowed_and_no_larger() {
        let whole = read(Full::from("12345678"), 8).await.unwrap();
        assert_eq!(whole, "12345678");
        assert!(matches!(read(Full::from("123456789"), 8).await, Err(Error::TooLarge)));
    }
}
