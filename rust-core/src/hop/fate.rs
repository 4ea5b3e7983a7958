//! What can happen to a record, and where it stood in Kafka.

/// The kind of a hop; also the value of `tracebaton.hop.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HopKind {
    /// Received over HTTP.
    Receive,
    /// Sent to a topic.
    Send,
    /// Processed by a transform.
    Process,
    /// Inserted into a table.
    Insert,
}

impl HopKind {
    /// Returns the name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Send => "send",
            Self::Process => "process",
            Self::Insert => "insert",
        }
    }
}

/// What became of a record at a hop; exactly one of these, or still pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// All that was made of it is acknowledged.
    Passed,
    /// It was left out on purpose.
    Filtered,
    /// It could not be handled, and nothing else took it.
    Failed,
    /// It could not be handled, and a dead-letter topic has it.
    DeadLettered,
}

/// How many records of a hop met which fate; what is in and has none is pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// Records that came in.
    pub records_in: u64,
    /// Records that passed.
    pub passed: u64,
    /// Records that were left out on purpose.
    pub filtered: u64,
    /// Records that failed.
    pub failed: u64,
    /// Records that went to a dead-letter topic.
    pub dead_lettered: u64,
}

impl Fates {
    /// Counts one record of the given fate; none means pending.
    #[must_use]
    pub const fn one(fate: Option<Fate>) -> Self {
        Self::all(1, fate)
    }

    /// Counts `n` records of the same fate; none means pending.
    #[must_use]
    pub const fn all(n: u64, fate: Option<Fate>) -> Self {
        let mut fates = Self { records_in: n, passed: 0, filtered: 0, failed: 0, dead_lettered: 0 };
        match fate {
            Some(Fate::Passed) => fates.passed = n,
            Some(Fate::Filtered) => fates.filtered = n,
            Some(Fate::Failed) => fates.failed = n,
            Some(Fate::DeadLettered) => fates.dead_lettered = n,
            None => {}
        }
        fates
    }

    /// Returns how many records have no fate yet.
    #[must_use]
    pub const fn pending(&self) -> u64 {
        let settled = self.passed + self.filtered + self.failed + self.dead_lettered;
        self.records_in.saturating_sub(settled)
    }
}

/// Where a record was read from Kafka, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinates {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// The consumer group that read it.
    pub group: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_fate_is_pending() {
        let fates = Fates { records_in: 5, passed: 2, filtered: 1, ..Fates::default() };
        assert_eq!(fates.pending(), 2);
        assert_eq!(Fates::one(None).pending(), 1);
        assert_eq!(Fates::one(Some(Fate::Failed)).pending(), 0);
    }
}
