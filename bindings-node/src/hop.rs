//! Hops and their outputs.

use napi_derive::napi;
use tracebaton::{
    carrier::{List, Medium},
    hop::{self, Coordinates, Recorder, Value as Attribute},
    propagate::Propagation,
};

use crate::{
    baton::{Baton, injected, wrong},
    headers::{self, Value},
};

/// One message at one hop.
#[napi]
pub struct Hop(pub(crate) hop::Hop);

/// Starts the hop of one consumed message.
///
/// # Errors
///
/// Throws where the offset is not a whole number.
#[napi]
pub fn start_process(
    topic: String,
    partition: i32,
    offset: String,
    group: Option<String>,
    names: Vec<String>,
    values: Vec<Value>,
) -> napi::Result<Hop> {
    let offset = offset.parse().map_err(|_| wrong("message.offset must be a whole number"))?;
    let list = headers::read(names, values, Medium::Kafka);
    let baton = Propagation::default().extract(&list).baton;
    let input = Coordinates { topic, partition, offset, group };
    Ok(Hop(hop::Hop::process(Recorder::global(), &input, &baton)))
}

#[napi]
impl Hop {
    /// The trace id.
    #[napi(getter)]
    pub fn trace_id(&self) -> String {
        self.0.trace_id().to_string()
    }

    /// This hop's span id.
    #[napi(getter)]
    pub fn span_id(&self) -> String {
        self.0.span_id().to_string()
    }

    /// The id as the client wrote it, where that is not just the trace id.
    #[napi(getter)]
    pub fn legacy_id(&self) -> Option<String> {
        self.0.legacy_text().map(str::to_owned)
    }

    /// What this hop hands on.
    #[napi(getter)]
    pub fn baton(&self) -> Baton {
        Baton(self.0.baton().clone())
    }

    /// Starts a message on its way out.
    #[napi]
    pub fn output(&self, topic: String) -> Output {
        Output(Some(self.0.output(&topic)))
    }

    /// Sets an attribute of the span.
    #[napi]
    pub fn set(&self, key: String, value: String) {
        self.0.set(key, Attribute::from(value));
    }

    /// Says that the record was left out on purpose.
    #[napi]
    pub fn filtered(&self, reason: String) {
        self.0.filtered(&reason);
    }

    /// Says that the record could not be handled and nothing else took it.
    #[napi]
    pub fn failed(&self, error_type: String, message: String) {
        self.0.failed(&error_type, &message);
    }

    /// Says that the record could not be handled and goes to a dead-letter topic.
    #[napi]
    pub fn dead_lettered(&self, error_type: String, message: String) {
        self.0.dead_lettered(&error_type, &message);
    }

    /// The headers of a dead letter besides the context, as name, value, name, value …
    #[napi]
    pub fn error_headers(&self) -> Vec<String> {
        let headers = self.0.error_headers().into_iter();
        headers.flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    /// Ends the hop. It settles once its outputs have.
    #[napi]
    pub fn end(&self) {
        self.0.end();
    }
}

/// A message on its way to a topic.
#[napi]
pub struct Output(Option<hop::Output>);

#[napi]
impl Output {
    /// The headers to send, as name, value, name, value …; empty once the delivery is known.
    #[napi]
    pub fn headers(&self) -> Vec<String> {
        let Some(output) = &self.0 else { return Vec::new() };
        let mut list = List::new(Medium::Kafka, Vec::<(String, Option<String>)>::new());
        injected(output.baton(), &mut list)
    }

    /// Says where the broker put it; the first word on a delivery counts.
    ///
    /// # Errors
    ///
    /// Throws where the offset is not a whole number.
    #[napi]
    pub fn delivered(&mut self, partition: i32, offset: String) -> napi::Result<()> {
        let offset = offset.parse().map_err(|_| wrong("offset must be a whole number"))?;
        if let Some(output) = self.0.take() {
            output.delivered(partition, offset);
        }
        Ok(())
    }

    /// Says that the broker or the client refused it.
    #[napi]
    pub fn undelivered(&mut self, error_type: String, message: String) {
        if let Some(output) = self.0.take() {
            output.undelivered(&error_type, &message);
        }
    }

    /// Gives it up: nobody will tell what became of it.
    #[napi]
    pub fn release(&mut self) {
        self.0.take();
    }
}
