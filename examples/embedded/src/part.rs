//! The parts of the relay, by name.

/// One process of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The database.
    Clickhouse,
    /// The Kafka broker.
    Broker,
    /// Where all telemetry goes.
    Drilldown,
    /// HTTP → Kafka, in Rust.
    Ingest,
    /// The transform in Python.
    RawToUser,
    /// The transform in TypeScript.
    Enrich,
    /// Kafka → ClickHouse, in Rust.
    Sync,
}

impl Part {
    /// What the services need to be there.
    pub const SERVERS: [Self; 3] = [Self::Clickhouse, Self::Broker, Self::Drilldown];
    /// The services of the pipeline, in the order of the relay.
    pub const SERVICES: [Self; 4] = [Self::Ingest, Self::RawToUser, Self::Enrich, Self::Sync];

    /// Returns the part's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clickhouse => "clickhouse",
            Self::Broker => "broker",
            Self::Drilldown => "drilldown",
            Self::Ingest => "ingest",
            Self::RawToUser => "raw_to_user",
            Self::Enrich => "enrich",
            Self::Sync => "sync",
        }
    }
}
