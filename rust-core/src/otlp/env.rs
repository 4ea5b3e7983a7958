//! Options of the standard environment variables.

use std::{collections::BTreeMap, env, ffi::OsString, time::Duration};

use super::{
    error::OptionError,
    options::{Compression, Endpoint, LONGEST, Options, Protocol, Tls},
    pairs,
    request::Signal,
    tls, url,
};

impl Options {
    /// Reads the standard variables (OpenTelemetry, "Environment Variable Specification" and
    /// "OpenTelemetry Protocol Exporter").
    ///
    /// Understood are `OTEL_EXPORTER_OTLP_` `ENDPOINT`, `PROTOCOL`, `HEADERS`, `TIMEOUT`,
    /// `COMPRESSION`, `CERTIFICATE`, `CLIENT_CERTIFICATE`, `CLIENT_KEY` and `INSECURE`, each also for
    /// one signal as `OTEL_EXPORTER_OTLP_TRACES_…` and `OTEL_EXPORTER_OTLP_LOGS_…`,
    /// `OTEL_TRACES_EXPORTER`, `OTEL_LOGS_EXPORTER`, `OTEL_SERVICE_NAME`,
    /// `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SDK_DISABLED`, `OTEL_TRACES_SAMPLER` and its `_ARG`,
    /// `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_LOG_LEVEL` (`none` keeps stderr silent), and
    /// `TRACEBATON_BUFFER_BYTES`. `docs/export.md` tells of each.
    ///
    /// # Errors
    ///
    /// Returns an [`OptionError`] that names the variable whose value cannot be used. What is meant
    /// for the SDK of the application as well, and not for us, is a warning.
    pub fn from_env() -> Result<Self, OptionError> {
        Self::from_vars(env::vars_os())
    }

    /// Reads options from variables that are given, as [`Options::from_env`] does.
    ///
    /// # Errors
    ///
    /// Returns an [`OptionError`] that names the variable whose value cannot be used.
    ///
    /// # Examples
    ///
    /// ```
    /// use tracebaton::otlp::Options;
    ///
    /// let error = Options::from_vars([("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")]).unwrap_err();
    /// assert_eq!(error.key(), "OTEL_EXPORTER_OTLP_TIMEOUT");
    /// ```
    pub fn from_vars<N: Into<OsString>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, OptionError> {
        let mut own = BTreeMap::new();
        for (name, value) in variables {
            if let Ok(name) = name.into().into_string()
                && (name.starts_with("OTEL_") || name == BUFFER_BYTES)
            {
                own.insert(name, value.into());
            }
        }
        Reader { variables: own, warnings: Vec::new() }.read()
    }
}

const BUFFER_BYTES: &str = "TRACEBATON_BUFFER_BYTES";

/// A variable that is set: its name and its value.
type Set = (String, String);

struct Reader {
    variables: BTreeMap<String, OsString>,
    warnings: Vec<OptionError>,
}

impl Reader {
    fn read(mut self) -> Result<Options, OptionError> {
        let mut options = Options {
            is_disabled: self.flag("OTEL_SDK_DISABLED")?,
            service_name: self.text("OTEL_SERVICE_NAME")?,
            sample_rate: self.sample_rate()?,
            is_quiet: self
                .text("OTEL_LOG_LEVEL")?
                .is_some_and(|level| matches!(&*level.to_ascii_lowercase(), "none" | "off")),
            ..Options::default()
        };
        if let Some(list) = self.text("OTEL_RESOURCE_ATTRIBUTES")? {
            options.resource = pairs::pairs(&list)
                .map_err(|message| OptionError::new("OTEL_RESOURCE_ATTRIBUTES", message))?;
        }
        options.traces = self.endpoint(Signal::Traces)?;
        options.logs = self.endpoint(Signal::Logs)?;
        if let Some(delay) = self.number("OTEL_BSP_SCHEDULE_DELAY")? {
            options.interval = Duration::from_millis(delay.max(1)).min(LONGEST);
        }
        if let Some(bytes) = self.number(BUFFER_BYTES)? {
            options.limit_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
        options.warnings = self.warnings;
        Ok(options)
    }

    /// Reads where a signal goes, and how; nothing where it is not exported.
    fn endpoint(&mut self, signal: Signal) -> Result<Option<Endpoint>, OptionError> {
        if !self.is_exported(signal)? {
            return Ok(None);
        }
        let protocol = match self.of_signal(signal, "PROTOCOL")? {
            None => Protocol::default(),
            Some((key, name)) => match &*name.to_ascii_lowercase() {
                "http/protobuf" => Protocol::HttpProtobuf,
                "grpc" => Protocol::Grpc,
                _ => {
                    let message = format!("is neither http/protobuf nor grpc: {name}");
                    return Err(OptionError::new(key, message));
                }
            },
        };
        let mut endpoint = Endpoint::new(protocol, self.url(signal, protocol)?);
        if let Some((key, list)) = self.of_signal(signal, "HEADERS")? {
            endpoint.headers =
                pairs::headers(&list).map_err(|message| OptionError::new(key, message))?;
        }
        if let Some((key, name)) = self.of_signal(signal, "COMPRESSION")? {
            endpoint.compression = match &*name.to_ascii_lowercase() {
                "none" => Compression::None,
                "gzip" => Compression::Gzip,
                _ => {
                    return Err(OptionError::new(key, format!("is neither gzip nor none: {name}")));
                }
            };
        }
        if let Some((key, number)) = self.of_signal(signal, "TIMEOUT")? {
            endpoint.timeout = Duration::from_millis(whole(&key, &number)?);
        }
        endpoint.tls = self.tls(signal)?;
        Ok(Some(endpoint))
    }

    fn is_exported(&mut self, signal: Signal) -> Result<bool, OptionError> {
        let key = format!("OTEL_{}_EXPORTER", signal.as_str());
        let Some(list) = self.text(&key)? else { return Ok(true) };
        let names = list.to_ascii_lowercase();
        let mut names = names.split(',').map(str::trim);
        if list.eq_ignore_ascii_case("none") {
            return Ok(false);
        }
        if !names.any(|name| name == "otlp") {
            let message = format!("is neither otlp nor none, and taken as otlp: {list}");
            self.warnings.push(OptionError::new(key, message));
        }
        Ok(true)
    }

    fn url(&mut self, signal: Signal, protocol: Protocol) -> Result<String, OptionError> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.as_str());
        let Some((key, mut url)) = self.of_signal(signal, "ENDPOINT")? else {
            return Ok(url::of_signal(url::default(protocol), protocol, signal));
        };
        if protocol == Protocol::Grpc && !url.contains("://") {
            // gRPC's own form of a target has no scheme ("Configuration Options", "Insecure").
            let insecure = match self.of_signal(signal, "INSECURE")? {
                Some((key, _)) => self.flag(&key)?,
                None => false,
            };
            url.insert_str(0, if insecure { "http://" } else { "https://" });
        }
        url::check(&url).map_err(|message| OptionError::new(&*key, message))?;
        // A signal's own endpoint is used as it is; gRPC has a fixed path all the same.
        Ok(if key == own && protocol == Protocol::HttpProtobuf {
            url
        } else {
            url::of_signal(&url, protocol, signal)
        })
    }

    fn tls(&self, signal: Signal) -> Result<Tls, OptionError> {
        let file = |name| Ok(self.of_signal(signal, name)?.map(|(_, path)| path));
        let files = Tls {
            certificate: file("CERTIFICATE")?,
            client_certificate: file("CLIENT_CERTIFICATE")?,
            client_key: file("CLIENT_KEY")?,
        };
        tls::check(&files).map_err(|wrong| {
            let set = self.of_signal(signal, wrong.file.as_str());
            let general = || format!("OTEL_EXPORTER_OTLP_{}", wrong.file.as_str());
            let key = set.ok().flatten().map_or_else(general, |(key, _)| key);
            OptionError::new(key, wrong.message)
        })?;
        Ok(files)
    }

    /// Reads the sampler as the share of new traces that are kept. What is decided on already stays
    /// so with each of ours.
    fn sample_rate(&mut self) -> Result<Option<f64>, OptionError> {
        const KEY: &str = "OTEL_TRACES_SAMPLER";
        let Some(name) = self.text(KEY)? else { return Ok(None) };
        let lower = name.to_ascii_lowercase();
        let (parent_based, rest) =
            lower.strip_prefix("parentbased_").map_or((false, &*lower), |rest| (true, rest));
        let rate = match rest {
            "always_on" => None,
            "always_off" => Some(0.0),
            "traceidratio" => Some(self.ratio()?),
            "tracebaton" => return self.ratio().map(Some),
            _ => {
                let message = format!("is no sampler known here, and ignored: {name}");
                self.warnings.push(OptionError::new(KEY, message));
                return Ok(None);
            }
        };
        if !parent_based {
            let message = format!("what is decided already stays so, as with parentbased_{lower}");
            self.warnings.push(OptionError::new(KEY, message));
        }
        Ok(rate)
    }

    fn ratio(&mut self) -> Result<f64, OptionError> {
        const KEY: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(text) = self.text(KEY)? else { return Ok(1.0) };
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        Ok(ratio.unwrap_or_else(|| {
            let message = format!("is no number from 0 to 1, and ignored: {text}");
            self.warnings.push(OptionError::new(KEY, message));
            1.0
        }))
    }

    fn flag(&mut self, key: &str) -> Result<bool, OptionError> {
        let Some(text) = self.text(key)? else { return Ok(false) };
        let flag = text.eq_ignore_ascii_case("true");
        if !flag && !text.eq_ignore_ascii_case("false") {
            let message = format!("is neither true nor false, and taken as false: {text}");
            self.warnings.push(OptionError::new(key, message));
        }
        Ok(flag)
    }

    fn number(&self, key: &str) -> Result<Option<u64>, OptionError> {
        self.text(key)?.map(|text| whole(key, &text)).transpose()
    }

    /// Reads the exporter's variable of a signal, or else the one of all signals.
    fn of_signal(&self, signal: Signal, name: &str) -> Result<Option<Set>, OptionError> {
        let keys = [
            format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.as_str()),
            format!("OTEL_EXPORTER_OTLP_{name}"),
        ];
        for key in keys {
            if let Some(text) = self.text(&key)? {
                return Ok(Some((key, text)));
            }
        }
        Ok(None)
    }

    fn text(&self, key: &str) -> Result<Option<String>, OptionError> {
        let Some(value) = self.variables.get(key) else { return Ok(None) };
        let text = value.to_str().ok_or_else(|| OptionError::new(key, "is not UTF-8"))?.trim();
        // An empty value is the same as none ("Parsing empty value").
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }
}

fn whole(key: &str, text: &str) -> Result<u64, OptionError> {
    text.parse().map_err(|_| OptionError::new(key, format!("is not a whole number: {text}")))
}
