//! All parts together, started in order and stopped in reverse.

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use crate::{child::Child, layout::Layout, ports::Ports};

const READY_WITHIN: Duration = Duration::from_secs(40);
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// A service of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// HTTP → Kafka, in Rust.
    Ingest,
    /// The transform in Python.
    RawToUser,
    /// The transform in TypeScript.
    Enrich,
    /// Kafka → ClickHouse, in Rust.
    Sync,
}

impl Service {
    /// Every service, in the order of the relay.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::RawToUser, Self::Enrich, Self::Sync];

    /// Returns the service's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::RawToUser => "raw_to_user",
            Self::Enrich => "enrich",
            Self::Sync => "sync",
        }
    }
}

/// The running relay.
pub struct Stack {
    layout: Layout,
    ports: Ports,
    folder: PathBuf,
    kafka: String,
    clickhouse: String,
    children: Vec<Child>,
}

impl Stack {
    /// Starts everything; logs and data go to `folder`, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// Returns an error of one line that names the part that could not start; what was started is
    /// stopped again.
    pub async fn start(folder: PathBuf, ports: Ports) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let own_kafka = env::var("KAFKA_BROKERS").ok();
        let own_clickhouse = env::var("CLICKHOUSE_URL").ok();
        let mut stack = Self {
            layout: Layout::find()?,
            kafka: own_kafka.clone().unwrap_or(format!("127.0.0.1:{}", ports.kafka)),
            clickhouse: own_clickhouse
                .clone()
                .unwrap_or(format!("http://127.0.0.1:{}", ports.clickhouse_http)),
            ports,
            folder,
            children: Vec::new(),
        };
        let started = stack.start_parts(own_kafka.is_none(), own_clickhouse.is_none()).await;
        if let Err(error) = started {
            stack.stop().await;
            return Err(error);
        }
        Ok(stack)
    }

    async fn start_parts(&mut self, with_kafka: bool, with_clickhouse: bool) -> anyhow::Result<()> {
        if with_clickhouse {
            self.start_clickhouse()?;
        }
        if with_kafka {
            let mut command = Command::new(self.layout.built("target/broker/debug/broker")?);
            command.arg(format!("127.0.0.1:{}", self.ports.kafka));
            self.spawn("broker", command)?;
        }
        let mut command = Command::new(self.layout.binary("tracebaton")?);
        command.arg("serve").arg("--data").arg(self.folder.join("telemetry"));
        command.arg("--grpc").arg(format!("127.0.0.1:{}", self.ports.otlp_grpc));
        command.arg("--http").arg(format!("127.0.0.1:{}", self.ports.otlp_http));
        self.spawn("drilldown", command)?;
        for child in self.children.iter_mut().filter(|child| child.name() != "clickhouse") {
            child.ready(READY_WITHIN).await?;
        }
        if with_clickhouse {
            self.clickhouse_answers().await?;
        }
        // One by one: each finds its topics there, and the groups settle before the first record.
        for service in Service::ALL {
            self.start_service(service)?;
        }
        for service in Service::ALL {
            self.child(service)?.ready(READY_WITHIN).await?;
        }
        Ok(())
    }

    fn start_clickhouse(&mut self) -> anyhow::Result<()> {
        let library =
            "examples/embedded/clickhouse/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so";
        let mut command = Command::new(self.layout.binary("clickhouse")?);
        command.arg(self.layout.built(library)?);
        command.arg(self.ports.clickhouse_http.to_string());
        command.arg(self.ports.clickhouse_tcp.to_string());
        command.arg(self.folder.join("clickhouse"));
        self.spawn("clickhouse", command)
    }

    async fn clickhouse_answers(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let client = self.clickhouse();
        while let Err(error) = client.query("SELECT 1").fetch_one::<u8>().await {
            for child in self.children.iter_mut().filter(|child| child.name() == "clickhouse") {
                child.check()?;
            }
            if Instant::now() > deadline {
                bail!("clickhouse does not answer at {}: {error}", self.clickhouse);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Starts a service of the pipeline, for the first time or again.
    ///
    /// # Errors
    ///
    /// Returns an error that names the service where it cannot be started.
    pub fn start_service(&mut self, service: Service) -> anyhow::Result<()> {
        let mut command = match service {
            Service::Ingest => Command::new(self.layout.binary("ingest")?),
            Service::Sync => Command::new(self.layout.binary("sync")?),
            Service::RawToUser => {
                let mut command = Command::new(self.layout.built(".venv/bin/python")?);
                command.arg(self.layout.built("examples/pipeline/raw_to_user/main.py")?);
                command
            }
            Service::Enrich => {
                let mut command = Command::new("node");
                command.arg(self.layout.built("examples/pipeline/enrich/dist/main.js")?);
                command
            }
        };
        command
            .env("KAFKA_BROKERS", &self.kafka)
            .env("CLICKHOUSE_URL", &self.clickhouse)
            .env("INGEST_ADDR", format!("127.0.0.1:{}", self.ports.ingest))
            .env("OTEL_SERVICE_NAME", service.as_str());
        if env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_none() {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", self.server());
        }
        self.spawn(service.as_str(), command)
    }

    fn spawn(&mut self, name: &str, command: Command) -> anyhow::Result<()> {
        self.children.push(Child::spawn(name, command, &self.folder)?);
        Ok(())
    }

    /// Returns a running service.
    ///
    /// # Errors
    ///
    /// Returns an error where it does not run.
    pub fn child(&mut self, service: Service) -> anyhow::Result<&mut Child> {
        let name = service.as_str();
        let found = self.children.iter_mut().find(|child| child.name() == name);
        found.with_context(|| format!("{name} does not run"))
    }

    /// Takes a service out of the relay, for instance to kill it.
    ///
    /// # Errors
    ///
    /// Returns an error where it does not run.
    pub fn take(&mut self, service: Service) -> anyhow::Result<Child> {
        let at = self.children.iter().position(|child| child.name() == service.as_str());
        let at = at.with_context(|| format!("{} does not run", service.as_str()))?;
        Ok(self.children.remove(at))
    }

    /// Returns an error where a part has ended by itself.
    ///
    /// # Errors
    ///
    /// Names the part and its last lines.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.children.iter_mut().try_for_each(Child::check)
    }

    /// Returns the brokers' addresses.
    #[must_use]
    pub fn kafka(&self) -> &str {
        &self.kafka
    }

    /// Returns a client of ClickHouse.
    #[must_use]
    pub fn clickhouse(&self) -> clickhouse::Client {
        clickhouse::Client::default().with_url(&self.clickhouse)
    }

    /// Returns ClickHouse's URL.
    #[must_use]
    pub fn clickhouse_url(&self) -> &str {
        &self.clickhouse
    }

    /// Returns the URL of drilldown: its API, and OTLP over HTTP.
    #[must_use]
    pub fn server(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.otlp_http)
    }

    /// Returns the URL of `ingest`.
    #[must_use]
    pub fn ingest(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.ingest)
    }

    /// Returns the folder of logs and data.
    #[must_use]
    pub fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// Returns where things are in the checkout.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Stops everything, the last that was started first.
    pub async fn stop(&mut self) {
        while let Some(child) = self.children.pop() {
            // A part that cannot be stopped is killed when its handle is dropped.
            let _ = child.stop(STOP_WITHIN).await;
        }
    }
}
