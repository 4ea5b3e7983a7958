//! An OTLP endpoint on loopback that keeps what it takes and misbehaves as told.

use std::{
    convert::Infallible,
    io::Read,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse},
        trace::v1::ExportTraceServiceRequest,
    },
    resource::v1::Resource,
};
use prost::Message;
use tokio::{net::TcpListener, sync::oneshot};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::telemetry::Telemetry;

/// What the endpoint does with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// Keeps it and says so.
    Take,
    /// Keeps it and says so after a while.
    Slowly(Duration),
    /// Keeps it but says that so many items were rejected.
    Reject(i64),
    /// Answers with an HTTP status and drops it.
    Status(u16),
    /// Answers with a gRPC status and drops it.
    Grpc(u16),
    /// Answers with a gRPC status among the headers and nothing after them, and drops it.
    GrpcAtOnce(u16),
    /// Never answers.
    Silence,
}

type Plan = Box<dyn Fn(&Received) -> Answer + Send>;
type Reader = Box<dyn FnMut(Telemetry) + Send>;

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) size: usize,
    /// How many came before it.
    pub(crate) index: usize,
}

#[derive(Default)]
struct Kept {
    telemetry: Telemetry,
    resources: Vec<Resource>,
    received: Vec<Received>,
    plan: Option<Plan>,
    reader: Option<Reader>,
}

pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    pub(crate) fn start() -> Self {
        Self::on(0, None, None)
    }

    /// Starts an endpoint that speaks TLS.
    pub(crate) fn with_tls(config: ServerConfig) -> Self {
        Self::on(0, Some(Arc::new(config).into()), None)
    }

    /// Starts an endpoint on a port that was in use before.
    pub(crate) fn at(port: u16) -> Self {
        Self::on(port, None, None)
    }

    /// Starts an endpoint on such a port that hands on what it takes instead of keeping it: there
    /// may be much of it.
    pub(crate) fn reading_at(port: u16, reader: impl FnMut(Telemetry) + Send + 'static) -> Self {
        Self::on(port, None, Some(Box::new(reader)))
    }

    fn on(port: u16, tls: Option<TlsAcceptor>, reader: Option<Reader>) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::new(Mutex::new(Kept { reader, ..Kept::default() }));
        let (stop, stopped) = oneshot::channel();
        let keep = kept.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = serve(listener, tls, keep) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Self { address, kept, stop: Some(stop), thread: Some(thread) }
    }

    /// Sets what is done with requests from now on.
    pub(crate) fn answer(&self, plan: impl Fn(&Received) -> Answer + Send + 'static) {
        self.kept.lock().unwrap().plan = Some(Box::new(plan));
    }

    /// Returns what was taken so far.
    pub(crate) fn telemetry(&self) -> Telemetry {
        self.kept.lock().unwrap().telemetry.clone()
    }

    pub(crate) fn resources(&self) -> Vec<Resource> {
        self.kept.lock().unwrap().resources.clone()
    }

    /// Returns every request, those that were not taken included.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.kept.lock().unwrap().received.clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, kept: Arc<Mutex<Kept>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, kept) = (tls.clone(), kept.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| take(request, kept.clone()));
            let builder = auto::Builder::new(TokioExecutor::new());
            // A client that breaks off is part of what is tested.
            let _ = match tls {
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => builder.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => return,
                },
                None => builder.serve_connection(TokioIo::new(stream), service).await,
            };
        });
    }
}

async fn take(
    request: Request<Incoming>,
    kept: Arc<Mutex<Kept>>,
) -> Result<Response<BoxBody>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { std::future::pending().await };
    let mut body = body.to_bytes();
    let is_grpc = head.headers["content-type"] == "application/grpc";
    let received = {
        let mut kept = kept.lock().unwrap();
        let received = Received {
            path: head.uri.path().to_owned(),
            version: head.version,
            headers: head.headers,
            size: body.len(),
            index: kept.received.len(),
        };
        kept.received.push(received.clone());
        received
    };
    let answer = kept.lock().unwrap().plan.as_ref().map_or(Answer::Take, |plan| plan(&received));
    if is_grpc {
        assert_eq!(body.len() - 5, u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize);
        body = body.slice(5..);
    }
    let encoding = if is_grpc { "grpc-encoding" } else { "content-encoding" };
    if received.headers.get(encoding).is_some_and(|encoding| encoding == "gzip") {
        let mut plain = Vec::new();
        GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
        body = plain.into();
    }
    let (status, grpc_status, rejected) = match answer {
        Answer::Take => (200, 0, 0),
        Answer::Slowly(pause) => {
            tokio::time::sleep(pause).await;
            (200, 0, 0)
        }
        Answer::Reject(count) => (200, 0, count),
        Answer::Status(status) => (status, 2, 0),
        Answer::Grpc(status) => (200, status, 0),
        Answer::GrpcAtOnce(status) => return Ok(at_once(status)),
        Answer::Silence => std::future::pending().await,
    };
    if status == 200 && grpc_status == 0 {
        keep(&mut kept.lock().unwrap(), &received.path, &body);
    }
    Ok(respond(is_grpc, status, grpc_status, rejected))
}

fn keep(kept: &mut Kept, path: &str, body: &[u8]) {
    let mut telemetry = Telemetry::default();
    match path {
        "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
            for part in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
                kept.resources.extend(part.resource);
                let spans = part.scope_spans.into_iter().flat_map(|scope| scope.spans);
                telemetry.spans.extend(spans);
            }
        }
        "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
            for part in ExportLogsServiceRequest::decode(body).unwrap().resource_logs {
                kept.resources.extend(part.resource);
                let logs = part.scope_logs.into_iter().flat_map(|scope| scope.log_records);
                telemetry.logs.extend(logs);
            }
        }
        other => panic!("no such path: {other}"),
    }
    match &mut kept.reader {
        Some(reader) => reader(telemetry),
        None => {
            kept.telemetry.spans.extend(telemetry.spans);
            kept.telemetry.logs.extend(telemetry.logs);
        }
    }
}

fn at_once(grpc_status: u16) -> Response<BoxBody> {
    let response = Response::builder().header("content-type", "application/grpc");
    let response = response.header("grpc-status", grpc_status).header("grpc-message", "not now");
    response.body(Full::default().boxed()).unwrap()
}

type BoxBody = http_body_util::combinators::BoxBody<Bytes, Infallible>;

fn respond(is_grpc: bool, status: u16, grpc_status: u16, rejected: i64) -> Response<BoxBody> {
    // The two services' answers have the same fields.
    let partial_success = (rejected > 0).then(|| ExportLogsPartialSuccess {
        rejected_log_records: rejected,
        error_message: "too old".to_owned(),
    });
    let message = ExportLogsServiceResponse { partial_success }.encode_to_vec();
    let response = Response::builder().status(status);
    // A proxy that answers itself does not speak gRPC.
    if !is_grpc || status != 200 {
        return response.body(Full::from(message).boxed()).unwrap();
    }
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    let trailers = HeaderMap::from_iter([(
        "grpc-status".parse().unwrap(),
        grpc_status.to_string().parse().unwrap(),
    )]);
    let body = Full::from(frame).with_trailers(async { Some(Ok(trailers)) });
    response.header("content-type", "application/grpc").body(body.boxed()).unwrap()
}
