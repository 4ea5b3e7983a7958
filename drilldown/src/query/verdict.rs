//! The verdicts, and what each means to whoever runs `tracebaton diagnose`.

use serde::{Deserialize, Serialize};

/// What became of a trace, from the worst to the best. The worst that was found is the trace's.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Verdict {
    /// A transform failed and no dead-letter topic has the record.
    TransformFailedLost,
    /// Records were sent, the group went past them, and there is no evidence that it saw them.
    LostBetweenHops,
    /// The request was refused.
    RejectedHttp,
    /// Some records of the request went on, others were refused.
    PartialProduce,
    /// The sink gave the record up: it does not fit the table, or the insert failed for good.
    DroppedAtMapping,
    /// A transform failed, and a dead-letter topic has the record.
    TransformFailedDlq,
    /// A record passed a hop more than once, and so did what was made of it.
    Duplicated,
    /// A batch cannot get in, and is being tried again.
    BatchBlocked,
    /// A batch is on its way in.
    BatchPending,
    /// The group has not come to the record yet, or nobody reads the topic.
    ProducedNotConsumed,
    /// There is not enough evidence.
    Inconclusive,
    /// The text is not an id.
    IdMalformed,
    /// The id says it was made later than now.
    IdInFuture,
    /// The id was made before the oldest evidence that is kept.
    BeforeRetention,
    /// Nothing is known of this id.
    UnknownId,
    /// Every record that was to get in is in; others may have been left out on purpose.
    Inserted,
    /// Every record was left out on purpose.
    Filtered,
}

impl Verdict {
    /// Returns the exit code of `tracebaton diagnose`: 0 as intended, 10 lost or refused, 11 in the
    /// dead letters or given up by the sink, 12 in part or twice, 13 on its way, 14 unknown, 15 not
    /// enough evidence.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Inserted | Self::Filtered => 0,
            Self::TransformFailedLost | Self::LostBetweenHops | Self::RejectedHttp => 10,
            Self::DroppedAtMapping | Self::TransformFailedDlq => 11,
            Self::PartialProduce | Self::Duplicated => 12,
            Self::BatchBlocked | Self::BatchPending | Self::ProducedNotConsumed => 13,
            Self::UnknownId | Self::BeforeRetention | Self::IdInFuture | Self::IdMalformed => 14,
            Self::Inconclusive => 15,
        }
    }
}
