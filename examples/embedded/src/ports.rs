//! Where everything listens.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;

/// A port for each part that listens, on 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The broker.
    pub kafka: u16,
    /// ClickHouse over HTTP.
    pub clickhouse_http: u16,
    /// ClickHouse's native protocol.
    pub clickhouse_tcp: u16,
    /// Drilldown: OTLP over gRPC.
    pub otlp_grpc: u16,
    /// Drilldown: OTLP over HTTP, and its API.
    pub otlp_http: u16,
    /// The `ingest` service.
    pub ingest: u16,
}

impl Ports {
    /// Finds six ports that are free now.
    ///
    /// # Errors
    ///
    /// Returns an error where the system has no free port left.
    pub fn free() -> anyhow::Result<Self> {
        // All are held until the last is found, so that no two are the same.
        let held = (0..6).map(|_| hold(0)).collect::<Result<Vec<_>, _>>()?;
        let ports = held.iter().map(|listener| listener.local_addr().map(|at| at.port()));
        let ports = ports.collect::<Result<Vec<_>, _>>()?;
        let [kafka, clickhouse_http, clickhouse_tcp, otlp_grpc, otlp_http, ingest] = ports[..]
        else {
            anyhow::bail!("six ports were asked for");
        };
        Ok(Self { kafka, clickhouse_http, clickhouse_tcp, otlp_grpc, otlp_http, ingest })
    }

    /// Takes the ports by which these servers are known.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first port that is in use.
    pub fn well_known() -> anyhow::Result<Self> {
        let ports = Self {
            kafka: 9092,
            clickhouse_http: 8123,
            clickhouse_tcp: 9000,
            otlp_grpc: 4317,
            otlp_http: 4318,
            ingest: 4000,
        };
        for port in
            [ports.kafka, ports.clickhouse_http, ports.otlp_grpc, ports.otlp_http, ports.ingest]
        {
            hold(port).with_context(|| format!("port {port} is in use"))?;
        }
        Ok(ports)
    }
}

/// Finds a port that is free now.
///
/// # Errors
///
/// Returns an error where the system has no free port left.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(hold(0)?.local_addr()?.port())
}

/// Takes a port for as long as the listener lives.
pub(crate) fn hold(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}
