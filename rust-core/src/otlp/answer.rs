//! Judges what an endpoint answers.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

use super::fields::Fields;

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The endpoint has it, but for so many items it did not want, and says why.
    Done { rejected: u64, cause: String },
    /// It may go through later.
    Retry { after: Option<Duration>, cause: String },
    /// It will never go through.
    Refused { cause: String },
}

/// An answer, as far as it came.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
    pub(super) end: End,
}

/// How the body of an answer came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// It broke off, or took too long.
    Cut(String),
    /// There was more than is read.
    TooLong,
}

impl Answer {
    /// Judges by the status (OTLP specification, "OTLP/HTTP Response").
    ///
    /// Whoever says that all is well has the telemetry: of a body that breaks off only the number of
    /// rejected items is lost, while sending again would double what arrived.
    pub(super) fn over_http(&self) -> Delivery {
        let status = self.status;
        if !status.is_success() {
            return self.failure();
        }
        if self.end == End::TooLong {
            return too_long();
        }
        // No OTLP endpoint shows a page; what does is a portal, or a site's front door.
        if self.header(header::CONTENT_TYPE.as_str()).starts_with("text/html") {
            let cause = format!("it answered {status} with a web page, so it is not for OTLP");
            return Delivery::Refused { cause };
        }
        taken(&self.body)
    }

    /// Judges by the gRPC status (OTLP specification, "OTLP/gRPC Response", table of retryable
    /// codes), which is a header where an answer has nothing else.
    pub(super) fn over_grpc(&self) -> Delivery {
        let Some(code) = self.trailers.get(STATUS).or_else(|| self.headers.get(STATUS)) else {
            return match &self.end {
                End::TooLong => too_long(),
                _ if !self.status.is_success() => self.failure(),
                End::Cut(cause) => Delivery::Retry { after: None, cause: cause.clone() },
                End::Whole => {
                    Delivery::Refused { cause: format!("it answered without a {STATUS}") }
                }
            };
        };
        // A code that cannot be read is none that allows for another try.
        let code = code.to_str().ok().and_then(|code| code.parse::<u8>().ok()).unwrap_or(UNKNOWN);
        let cause = said(format!("it answered grpc-status {code}"), &self.header("grpc-message"));
        let after = retry_info(&self.header("grpc-status-details-bin"));
        match code {
            // One message: whether it is compressed, its length, itself. We ask for none that is.
            0 => taken(self.body.strip_prefix(&[0]).and_then(|rest| rest.get(4..)).unwrap_or(&[])),
            1 | 4 | 10 | 11 | 14 | 15 => Delivery::Retry { after, cause },
            // Exhausted means for good, unless it is said when to come back.
            8 if after.is_some() => Delivery::Retry { after, cause },
            _ => Delivery::Refused { cause },
        }
    }

    /// Judges an answer that is not one of success ("Failures", "Retryable Response Codes").
    fn failure(&self) -> Delivery {
        let status = self.status;
        let cause = format!("it answered {status}");
        // A redirect is not followed: whoever sends it would get our headers.
        let details = match status.is_redirection() {
            true => format!("to {}", self.header(header::LOCATION.as_str())),
            false => Fields(&self.body).text(2),
        };
        let cause = said(cause, &details);
        match status.as_u16() {
            429 | 502 | 503 | 504 => Delivery::Retry { after: self.retry_after(), cause },
            _ => Delivery::Refused { cause },
        }
    }

    /// Reads `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
    fn retry_after(&self) -> Option<Duration> {
        let text = self.header(header::RETRY_AFTER.as_str());
        match text.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => {
                let date = httpdate::parse_http_date(&text).ok()?;
                Some(date.duration_since(SystemTime::now()).unwrap_or_default())
            }
        }
    }

    /// Returns a header's text, from the trailers first; empty where there is none.
    fn header(&self, name: &str) -> String {
        let value = self.trailers.get(name).or_else(|| self.headers.get(name));
        value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }
}

const STATUS: &str = "grpc-status";
const UNKNOWN: u8 = 2;

fn too_long() -> Delivery {
    // "The client MUST treat the response as a non-retryable error."
    Delivery::Refused { cause: "its answer is too long".to_owned() }
}

/// Reads how many items were rejected, and why: `partial_success` of the answer.
fn taken(message: &[u8]) -> Delivery {
    let partial = Fields(message).all(1).last().unwrap_or_default();
    let rejected = u64::try_from(Fields(partial).number(1)).unwrap_or_default();
    let cause = said(format!("it rejected {rejected}"), &Fields(partial).text(2));
    Delivery::Done { rejected, cause }
}

/// Adds a peer's own words, as far as they are safe to show.
fn said(cause: String, words: &str) -> String {
    const MANY: usize = 200;
    if words.is_empty() {
        return cause;
    }
    let is_plain = |char: char| char.is_alphanumeric() || char.is_ascii_graphic() || char == ' ';
    let plain = words.chars().take(MANY).map(|char| if is_plain(char) { char } else { '?' });
    format!("{cause}: {}", plain.collect::<String>())
}

/// Reads when to come back: `RetryInfo` among the details of a `google.rpc.Status`.
fn retry_info(details: &str) -> Option<Duration> {
    let status = base64(details)?;
    let infos = Fields(&status).all(3).filter(|any| Fields(any).text(1).ends_with(RETRY_INFO));
    let info = infos.last()?;
    let delay = Fields(Fields(info).all(2).last()?).all(1).last()?;
    let seconds = u64::try_from(Fields(delay).number(1)).ok()?;
    let nanos =
        u32::try_from(Fields(delay).number(2)).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

const RETRY_INFO: &str = "/google.rpc.RetryInfo";

/// Decodes base64, padded or not, as gRPC allows it in headers whose names end with `-bin`.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
        let headers = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: body.to_vec(),
            trailers: HeaderMap::new(),
            end: End::Whole,
        }
    }

    fn rejected(body: &[u8]) -> u64 {
        match answer(200, &[], body).over_http() {
            Delivery::Done { rejected, .. } => rejected,
            other => panic!("{other:?}"),
        }
    }

    fn after(delivery: &Delivery) -> Option<Duration> {
        match delivery {
            Delivery::Retry { after, .. } => *after,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rejected_items_are_read_from_the_answer() {
        assert_eq!(rejected(&[]), 0);
        assert_eq!(rejected(&[0x0a, 0x00]), 0);
        assert_eq!(rejected(&[0x0a, 0x06, 0x08, 0x96, 0x01, 0x12, 0x01, b'x']), 150);
        assert_eq!(rejected(&[0x0a, 0xff]), 0);
        assert_eq!(rejected(b"{\"partialSuccess\":{}}"), 0);
        let mut negative = vec![0x0a, 0x0b, 0x08];
        negative.extend([0xff; 9]);
        negative.push(0x01);
        assert_eq!(rejected(&negative), 0);
    }

    #[test]
    fn a_peers_words_are_shown_without_what_a_terminal_obeys() {
        let words = b"\x12\x0cno \x1b[31m\xe2\x80\xae!";
        let Delivery::Refused { cause } = answer(400, &[], words).over_http() else { panic!() };
        assert_eq!(cause, "it answered 400 Bad Request: no ?[31m?!");
        let mut long = vec![0x12, 0xff, 0x7f];
        long.resize(3 + 0x3fff, b'a');
        let Delivery::Refused { cause } = answer(400, &[], &long).over_http() else { panic!() };
        assert!(cause.len() < 300);
    }

    #[test]
    fn a_redirect_is_not_followed_but_told() {
        let moved = answer(308, &[("location", "https://b.example/v1/traces")], b"");
        let cause = "it answered 308 Permanent Redirect: to https://b.example/v1/traces".to_owned();
        assert_eq!(moved.over_http(), Delivery::Refused { cause });
    }

    #[test]
    fn success_counts_even_where_its_body_breaks_off() {
        let cut = Answer { end: End::Cut("cut".to_owned()), ..answer(200, &[], &[0x0a]) };
        assert!(matches!(cut.over_http(), Delivery::Done { rejected: 0, .. }));
        let long = Answer { end: End::TooLong, ..answer(200, &[], &[]) };
        assert!(matches!(long.over_http(), Delivery::Refused { .. }));
        let page = answer(200, &[("content-type", "text/html; charset=utf-8")], b"<html>");
        assert!(matches!(page.over_http(), Delivery::Refused { .. }));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let of = |value: &str| after(&answer(503, &[("retry-after", value)], b"").over_http());
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("soon"), None);
        assert_eq!(of("-1"), None);
        assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        assert!((90..=100).contains(&of(&soon).unwrap().as_secs()));
    }

    #[test]
    fn grpc_answers_are_judged_by_their_status_wherever_it_stands() {
        let grpc = |code, details: &str| {
            answer(200, &[(STATUS, code), ("grpc-status-details-bin", details)], b"").over_grpc()
        };
        for code in ["1", "4", "10", "11", "14", "15"] {
            assert_eq!(after(&grpc(code, "")), None, "{code}");
        }
        for code in ["2", "3", "5", "6", "7", "8", "9", "12", "13", "16", "77", "x", "-1"] {
            assert!(matches!(grpc(code, ""), Delivery::Refused { .. }), "{code}");
        }
        // code 8, details: [RetryInfo { retry_delay: 2.5 s }]
        let mut info = b"\x08\x08\x1a\x36\x0a\x28type.googleapis.com/google.rpc.RetryInfo".to_vec();
        info.extend(b"\x12\x0a\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01");
        let encoded = encoded(&info);
        let wanted = Some(Duration::from_millis(2_500));
        assert_eq!(after(&grpc("8", &encoded)), wanted);
        assert_eq!(after(&grpc("14", encoded.trim_end_matches('='))), wanted);
        assert!(matches!(grpc("8", "AAAA"), Delivery::Refused { .. }));
        assert!(matches!(grpc("8", "!"), Delivery::Refused { .. }));
    }

    #[test]
    fn a_grpc_answer_without_a_status_is_judged_by_what_there_is() {
        assert!(matches!(answer(200, &[], b"").over_grpc(), Delivery::Refused { .. }));
        assert!(matches!(answer(404, &[], b"").over_grpc(), Delivery::Refused { .. }));
        assert!(matches!(answer(503, &[], b"").over_grpc(), Delivery::Retry { .. }));
        let cut = Answer { end: End::Cut("cut".to_owned()), ..answer(200, &[], b"") };
        assert!(matches!(cut.over_grpc(), Delivery::Retry { .. }));
    }

    fn encoded(bytes: &[u8]) -> String {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let mut bits = [0; 4];
            bits[1..=chunk.len()].copy_from_slice(chunk);
            let bits = u32::from_be_bytes(bits);
            for index in 0..4 {
                let digit = (bits >> (18 - 6 * index)) & 63;
                let is_there = index <= chunk.len();
                text.push(if is_there { char::from(DIGITS[digit as usize]) } else { '=' });
            }
        }
        text
    }
}
