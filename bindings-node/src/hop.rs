//! Hops and their outputs.

use napi::bindgen_prelude::Either3;
use napi_derive::napi;
use tracebaton::{
    carrier::{CarrierMut, Medium},
    hop::{self, Coordinates, Recorder, Value as Attribute},
    propagate::Propagation,
};

use crate::{
    baton::{Baton, wrong},
    headers::{self, Rewritten, Value},
};

/// Whole numbers up to here are exact in JavaScript.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

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
    let baton = Propagation::of_process().extract(&list).baton;
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
        Output { output: Some(self.0.output(&topic)), error: Vec::new() }
    }

    /// Says that the record could not be handled, and starts the dead letter.
    #[napi]
    pub fn dead_letter(&self, topic: String, error_type: String, message: String) -> Output {
        self.0.dead_lettered(&error_type, &message);
        Output { output: Some(self.0.output(&topic)), error: self.0.error_headers() }
    }

    /// Sets an attribute of the span.
    #[napi]
    pub fn set(&self, key: String, value: Either3<String, f64, bool>) {
        let value = match value {
            Either3::A(text) => Attribute::from(text),
            Either3::B(number) if number.fract() == 0.0 && number.abs() <= MAX_SAFE => {
                Attribute::from(number as i64)
            }
            Either3::B(number) => Attribute::from(number),
            Either3::C(flag) => Attribute::from(flag),
        };
        self.0.set(key, value);
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

    /// Ends the hop. It settles once its outputs have.
    #[napi]
    pub fn end(&self) {
        self.0.end();
    }
}

/// A message on its way to a topic, and what a dead letter says besides.
#[napi]
pub struct Output {
    output: Option<hop::Output>,
    error: Vec<(&'static str, String)>,
}

#[napi]
impl Output {
    /// Writes the context to headers of these names, and tells what stays and what comes; nothing
    /// changes once the delivery is known.
    #[napi]
    pub fn rewrite(&self, names: Vec<String>) -> Rewritten {
        headers::rewrite(names, Medium::Kafka, |list| {
            if let Some(output) = &self.output {
                Propagation::of_process().inject(output.baton(), list);
                for (name, value) in &self.error {
                    list.set(name, value);
                }
            }
        })
    }

    /// Says where the broker put it; the first word on a delivery counts.
    ///
    /// # Errors
    ///
    /// Throws where the offset is not a whole number.
    #[napi]
    pub fn delivered(&mut self, partition: i32, offset: String) -> napi::Result<()> {
        let offset = offset.parse().map_err(|_| wrong("offset must be a whole number"))?;
        if let Some(output) = self.output.take() {
            output.delivered(partition, offset);
        }
        Ok(())
    }

    /// Says that the broker or the client refused it.
    #[napi]
    pub fn undelivered(&mut self, error_type: String, message: String) {
        if let Some(output) = self.output.take() {
            output.undelivered(&error_type, &message);
        }
    }

    /// Gives it up: nobody will tell what became of it.
    #[napi]
    pub fn release(&mut self) {
        self.output.take();
    }
}
