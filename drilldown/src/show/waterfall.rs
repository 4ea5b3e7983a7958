//! A trace as a waterfall.

use std::fmt::Write;

use super::text::{cut, duration, plain};
use crate::query::trace::Node;

/// Draws a trace: one line a span, its bar on a scale from the first start to the last end.
pub(crate) fn waterfall(trace_id: &str, nodes: &[Node], width: usize) -> String {
    let mut out = String::new();
    let start = nodes.iter().map(|node| node.span.start).min().unwrap_or_default();
    let end = nodes.iter().map(|node| node.span.end).max().unwrap_or_default();
    let mut services: Vec<&str> = nodes.iter().map(|node| node.span.service.as_str()).collect();
    services.sort_unstable();
    services.dedup();
    let _ = writeln!(
        out,
        "trace {trace_id}   {} {}   {}   {}",
        nodes.len(),
        if nodes.len() == 1 { "span" } else { "spans" },
        duration(end - start),
        plain(&services.join(", "))
    );
    let longest = services.iter().map(|service| plain(service).chars().count()).max();
    // As wide as they are, as long as the bars keep most of their room.
    let service_width = longest.unwrap_or(0).clamp(12, (width / 4).max(12));
    let name_width = (width * 45 / 100).clamp(28, 60);
    let bar_width = width.saturating_sub(name_width + service_width + 14).max(10);
    // The traces that the spans above belong to, from the root on.
    let mut above: Vec<&str> = Vec::new();
    for node in nodes {
        let span = &node.span;
        above.truncate(node.depth);
        let is_first = above.last() != Some(&span.trace_id.as_str());
        above.push(&span.trace_id);
        let batch = node.batch_records.filter(|_| is_first);
        let batch = batch.map_or(String::new(), |records| format!(" (batch of {records})"));
        let mark = match (span.is_error, node.is_linked) {
            (true, _) => "✗ ",
            (_, true) => "⇢ ",
            _ => "",
        };
        let name = plain(&span.name);
        let name = format!("{}{mark}{name}{batch}", "  ".repeat(node.depth.min(12)));
        let _ = write!(
            out,
            "{:name_width$} {:service_width$} {:>9} ",
            cut(&name, name_width),
            cut(&plain(&span.service), service_width),
            duration(span.end - span.start)
        );
        let scale = |time: i64| {
            let part = (time - start) as f64 / (end - start).max(1) as f64;
            (part * bar_width as f64) as usize
        };
        let from = scale(span.start).min(bar_width - 1);
        let to = scale(span.end).clamp(from + 1, bar_width);
        let queued = node.queued.map_or(from, |queued| scale(span.start - queued).min(from));
        out.push_str(&" ".repeat(queued));
        out.push_str(&"·".repeat(from - queued));
        out.push_str(&"█".repeat(to - from));
        if let Some(queued) = node.queued {
            let _ = write!(out, " waited {}", duration(queued));
        }
        out.push('\n');
        if span.is_error && !span.status_message.is_empty() {
            let indent = "  ".repeat(node.depth.min(12) + 1);
            let _ = writeln!(out, "{indent}{}", cut(&plain(&span.status_message), width - 4));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;

    #[test]
    fn services_are_shown_as_long_as_bars_keep_their_room() {
        let of = |service: &str| {
            let span = Span { service: service.to_owned(), end: 1, ..Span::default() };
            Node { span, depth: 0, is_linked: false, batch_records: None, queued: None }
        };
        let long = "a-service-with-a-name-that-never-ends";
        let text = waterfall("1", &[of("order-transformer"), of(long)], 100);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert!(lines[0].contains(" order-transformer "), "{text}");
        assert!(lines[1].contains(" a-service-with-a-name-th… "), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= 100 && line.ends_with('█')));
    }

    #[test]
    fn a_batch_is_named_where_it_begins() {
        let of = |trace_id: &str, depth: usize| {
            let is_linked = trace_id != "1";
            let batch_records = is_linked.then_some(7);
            let span = Span { trace_id: trace_id.into(), name: "work".into(), ..Span::default() };
            Node { span, depth, is_linked, batch_records, queued: None }
        };
        let text = waterfall("1", &[of("1", 0), of("2", 1), of("2", 2), of("2", 1)], 100);
        let names = text.lines().skip(1).map(|line| line.get(..34).unwrap_or(line).trim_end());
        let expected = ["work", "  ⇢ work (batch of 7)", "    ⇢ work", "  ⇢ work (batch of 7)"];
        assert_eq!(names.collect::<Vec<_>>(), expected);
    }
}
