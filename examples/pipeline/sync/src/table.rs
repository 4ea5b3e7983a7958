//! The table and how it is written to.

use std::time::Duration;

use bytes::Bytes;
use clickhouse::{Client, error::Error};

/// The table. It has no column for trace ids: that is not what users' tables are for.
pub(crate) const NAME: &str = "shop.user_events";

const CREATE: &str = "CREATE TABLE IF NOT EXISTS shop.user_events (
    event_id String, user_id String, kind LowCardinality(String), occurred_at DateTime64(3, 'UTC'),
    amount Nullable(Decimal(12, 2)), currency LowCardinality(Nullable(String)),
    sku Nullable(String), country LowCardinality(String), segment LowCardinality(String)
) ENGINE = MergeTree ORDER BY (user_id, occurred_at)
SETTINGS non_replicated_deduplication_window = 1000";

/// How long a server may keep silent before a batch is tried again.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// Why rows did not get in.
#[derive(Debug)]
pub(crate) enum InsertError {
    /// The rows themselves are not right; the same rows will never get in.
    Rows(String),
    /// The server is out of reach or not well; the same rows may get in later.
    Server(String),
}

/// Creates the table where it is missing.
pub(crate) async fn create(client: &Client) -> Result<(), Error> {
    client.query("CREATE DATABASE IF NOT EXISTS shop").execute().await?;
    client.query(CREATE).execute().await
}

/// Inserts lines of `JSONEachRow` under the name of the batch.
///
/// The name is the deduplication token too: an insert that got through although its answer was lost
/// leaves no duplicates when it is tried again.
pub(crate) async fn insert(
    client: &Client,
    query_id: &str,
    lines: Vec<u8>,
) -> Result<(), InsertError> {
    let statement = format!("INSERT INTO {NAME} FORMAT JSONEachRow");
    let mut insert = client
        .insert_formatted_with(statement)
        .with_timeouts(Some(SEND_TIMEOUT), Some(END_TIMEOUT))
        .with_setting("query_id", query_id)
        .with_setting("insert_deduplication_token", query_id)
        .with_setting("date_time_input_format", "best_effort");
    let sent = insert.send(Bytes::from(lines)).await;
    match sent.and(insert.end().await) {
        Ok(()) => Ok(()),
        Err(Error::BadResponse(text)) if is_about_rows(&text) => Err(InsertError::Rows(text)),
        Err(error) => Err(InsertError::Server(error.to_string())),
    }
}

/// Tells whether ClickHouse refused the rows themselves, by the code of its exception
/// (`ErrorCodes.cpp`): parsing, ranges, types, nulls, decimals, constraints.
fn is_about_rows(text: &str) -> bool {
    const CODES: [u32; 15] = [6, 25, 26, 27, 32, 33, 38, 41, 53, 69, 72, 117, 321, 407, 469];
    let code = text.split("Code: ").nth(1).and_then(|rest| {
        let end = rest.find(|char: char| !char.is_ascii_digit())?;
        rest.get(..end)?.parse().ok()
    });
    code.is_some_and(|code| CODES.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rows_own_faults_are_about_rows() {
        assert!(is_about_rows("Code: 27. DB::Exception: Cannot parse input"));
        assert!(!is_about_rows("Code: 60. DB::Exception: Table shop.user_events does not exist"));
        assert!(!is_about_rows("502 Bad Gateway"));
    }
}
