//! All parts together, started in order and stopped in reverse.

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    process::Command,
    time::{Instant, sleep, timeout},
};

use crate::{
    child::Child,
    layout::Layout,
    part::Part,
    ports::{Ports, hold},
};

const READY_WITHIN: Duration = Duration::from_secs(40);
const LIBCHDB: &str =
    "examples/embedded/clickhouse/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so";
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
const STOP_WITHIN: Duration = Duration::from_secs(15);

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
        let parts: Vec<Part> = Part::SERVERS.into_iter().chain(Part::SERVICES).collect();
        Self::start_only(folder, ports, &parts).await
    }

    /// Starts these parts alone, in this order; logs and data go to `folder`, which is made if it is
    /// missing.
    ///
    /// # Errors
    ///
    /// Returns an error of one line that names the part that could not start; what was started is
    /// stopped again.
    pub async fn start_only(folder: PathBuf, ports: Ports, parts: &[Part]) -> anyhow::Result<Self> {
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
        let is_ours = |part: &&Part| match part {
            Part::Broker => own_kafka.is_none(),
            Part::Clickhouse => own_clickhouse.is_none(),
            _ => true,
        };
        let ours: Vec<Part> = parts.iter().filter(is_ours).copied().collect();
        let started = stack.start_parts(&ours).await;
        if let Err(error) = started {
            stack.stop().await;
            return Err(error);
        }
        Ok(stack)
    }

    async fn start_parts(&mut self, parts: &[Part]) -> anyhow::Result<()> {
        // All start at once; what the services need is there before the first of them.
        let (servers, services): (Vec<Part>, Vec<Part>) =
            parts.iter().partition(|part| Part::SERVERS.contains(part));
        for together in [servers, services] {
            for part in &together {
                self.spawn(*part)?;
            }
            for part in &together {
                self.ready(*part).await?;
            }
        }
        Ok(())
    }

    /// Starts a part, for the first time or again, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Returns an error that names the part where it cannot be started.
    pub async fn start_part(&mut self, part: Part) -> anyhow::Result<()> {
        self.spawn(part)?;
        self.ready(part).await
    }

    async fn ready(&mut self, part: Part) -> anyhow::Result<()> {
        match part {
            Part::Clickhouse => self.clickhouse_answers().await,
            _ => self.child(part)?.ready(READY_WITHIN).await,
        }
    }

    async fn clickhouse_answers(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let client = self.clickhouse();
        loop {
            let asked = timeout(ANSWERS_WITHIN, client.query("SELECT 1").fetch_one::<u8>()).await;
            let error = match asked {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            self.child(Part::Clickhouse)?.check()?;
            if Instant::now() > deadline {
                bail!("clickhouse does not answer at {}: {error}", self.clickhouse);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn spawn(&mut self, part: Part) -> anyhow::Result<()> {
        let command = self.command(part)?;
        self.children.push(Child::spawn(part.as_str(), command, &self.folder)?);
        Ok(())
    }

    fn command(&self, part: Part) -> anyhow::Result<Command> {
        let command = match part {
            Part::Clickhouse => {
                // It would go on without the port, and say so only in its own log.
                for port in [self.ports.clickhouse_http, self.ports.clickhouse_tcp] {
                    hold(port).with_context(|| format!("clickhouse: port {port} is in use"))?;
                }
                let mut command = Command::new(self.layout.binary("clickhouse")?);
                command.arg(self.layout.built(LIBCHDB)?);
                command.arg(self.ports.clickhouse_http.to_string());
                command.arg(self.ports.clickhouse_tcp.to_string());
                command.arg(self.folder.join("clickhouse"));
                command
            }
            Part::Broker => {
                let mut command = Command::new(self.layout.built("target/broker/debug/broker")?);
                command.arg(format!("127.0.0.1:{}", self.ports.kafka));
                command
            }
            Part::Drilldown => {
                let mut command = Command::new(self.layout.binary("tracebaton")?);
                command.arg("serve").arg("--data").arg(self.folder.join("telemetry"));
                command.arg("--grpc").arg(format!("127.0.0.1:{}", self.ports.otlp_grpc));
                command.arg("--http").arg(format!("127.0.0.1:{}", self.ports.otlp_http));
                command
            }
            Part::Ingest => {
                self.service(part.as_str(), Command::new(self.layout.binary("ingest")?))
            }
            Part::Sync => self.service(part.as_str(), Command::new(self.layout.binary("sync")?)),
            Part::RawToUser => {
                let mut command = Command::new(self.layout.built(".venv/bin/python")?);
                command.arg(self.layout.built("examples/pipeline/raw_to_user/main.py")?);
                self.service(part.as_str(), command)
            }
            Part::Enrich => {
                let mut command = Command::new("node");
                command.arg(self.layout.built("examples/pipeline/enrich/dist/main.js")?);
                self.service(part.as_str(), command)
            }
        };
        Ok(command)
    }

    /// Starts a program beside the parts; it finds broker, ClickHouse and drilldown as they do.
    ///
    /// # Errors
    ///
    /// Returns an error that names the program where it cannot be started.
    pub fn run(&self, name: &str, command: Command) -> anyhow::Result<Child> {
        Child::spawn(name, self.service(name, command), &self.folder)
    }

    fn service(&self, name: &str, mut command: Command) -> Command {
        command
            .env("KAFKA_BROKERS", &self.kafka)
            .env("CLICKHOUSE_URL", &self.clickhouse)
            .env("INGEST_ADDR", format!("127.0.0.1:{}", self.ports.ingest))
            .env("OTEL_SERVICE_NAME", name);
        if env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_none() {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", self.server());
        }
        command
    }

    /// Returns a running part.
    ///
    /// # Errors
    ///
    /// Returns an error where it does not run.
    pub fn child(&mut self, part: Part) -> anyhow::Result<&mut Child> {
        let name = part.as_str();
        let found = self.children.iter_mut().find(|child| child.name() == name);
        found.with_context(|| format!("{name} does not run"))
    }

    /// Takes a part out of the relay, for instance to kill it.
    ///
    /// # Errors
    ///
    /// Returns an error where it does not run.
    pub fn take(&mut self, part: Part) -> anyhow::Result<Child> {
        let at = self.children.iter().position(|child| child.name() == part.as_str());
        let at = at.with_context(|| format!("{} does not run", part.as_str()))?;
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
