//! Why nothing is found of an id: never just "not found".

use super::{
    diagnose::{Diagnosis, Finding},
    elapsed::elapsed,
    id,
    ledger::Ledger,
    verdict::Verdict,
};
use crate::{
    model::Id,
    store::{Error, Store},
};

const MINUTE: i64 = 60_000_000_000;

/// Explains what is wrong with a text that is not an id.
pub(crate) fn malformed(text: &str) -> Diagnosis {
    let what = id::resolve(text).err().unwrap_or_default();
    only(text, None, Verdict::IdMalformed, what)
}

/// Explains why the ledger has nothing of an id at `now`, in nanoseconds since 1970.
pub(super) fn explain(store: &dyn Store, text: &str, id: Id, now: i64) -> Result<Diagnosis, Error> {
    let trace_id = id.to_string();
    let has_more = !store.logs(id)?.is_empty() || !store.spans(id)?.is_empty();
    let has_events = !store.hops(id)?.is_empty();
    let (verdict, what) = match id::made_at(text) {
        _ if has_events => {
            let what = "there are ledger events of this trace, and none of them tells of a record";
            (Verdict::Inconclusive, what.to_owned())
        }
        _ if has_more => {
            let what = "there are spans or log lines of this trace, and no ledger event: its \
                services do not record hops, or their ledger did not arrive";
            (Verdict::Inconclusive, what.to_owned())
        }
        Some(made) if made > now + MINUTE => {
            let ahead = elapsed(made - now);
            (Verdict::IdInFuture, format!("the id says it was made {ahead} from now"))
        }
        Some(made) => since_then(store, made, now)?,
        None => {
            let what = "nothing here has this id; just sent? try again in a moment";
            (Verdict::UnknownId, what.to_owned())
        }
    };
    Ok(only(text, Some(trace_id), verdict, what))
}

fn since_then(store: &dyn Store, made: i64, now: i64) -> Result<(Verdict, String), Error> {
    let ago = elapsed(now - made);
    if store.oldest()?.is_some_and(|oldest| oldest > made + MINUTE) {
        let what = format!("the id was made {ago} ago; the oldest evidence here is younger");
        return Ok((Verdict::BeforeRetention, what));
    }
    let heard = store.heard(made - MINUTE, made + MINUTE)?;
    let who = match heard.as_slice() {
        [] => "no service was heard then: their export was down, or goes elsewhere".to_owned(),
        names => format!("heard then were {}, with other ids", names.join(", ")),
    };
    let who = if now - made < MINUTE { format!("{who}; try again in a moment") } else { who };
    Ok((Verdict::UnknownId, format!("the id was made {ago} ago; {who}")))
}

fn only(text: &str, trace_id: Option<String>, verdict: Verdict, what: String) -> Diagnosis {
    let finding = Finding { verdict, hop: String::new(), evidence: what.clone() };
    Diagnosis {
        id: text.to_owned(),
        trace_id,
        verdict,
        summary: what,
        findings: vec![finding],
        ledger: Ledger::default(),
    }
}
