//! A trace as a waterfall.

use std::fmt::Write;

use super::text::{cut, duration, plain};
use crate::query::trace::Node;

/// Draws a trace: one line a span, its bar on a scale from the first start to the last end.
pub(crate) fn waterfall(trace_id: &str, nodes: &[Node], width: usize) -> String {
    let mut out = String::new();
    if nodes.is_empty() {
        return out;
    }
    // A span whose clock told nothing says nothing of when the trace began.
    let starts = || nodes.iter().map(|node| node.span.start);
    let start = starts().filter(|start| *start > 0).min().unwrap_or_default();
    let end = nodes.iter().map(|node| node.span.end.max(node.span.start)).max().unwrap_or_default();
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
    let waits = nodes.iter().filter_map(|node| Some(wait(node.queued?).chars().count()));
    let rest = width.saturating_sub(name_width + service_width + 12);
    let bar_width = rest.saturating_sub(waits.max().unwrap_or(0)).max(4);
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
            let part = (time.max(start) - start) as f64 / (end - start).max(1) as f64;
            (part * bar_width as f64) as usize
        };
        let from = scale(span.start).min(bar_width - 1);
        let to = scale(span.end).clamp(from + 1, bar_width);
        let queued = node.queued.map_or(from, |queued| scale(span.start - queued).min(from));
        out.push_str(&" ".repeat(queued));
        out.push_str(&"·".repeat(from - queued));
        out.push_str(&"█".repeat(to - from));
        out.push_str(&node.queued.map(wait).unwrap_or_default());
        out.push('\n');
        if span.is_error && !span.status_message.is_empty() {
            let indent = "  ".repeat(node.depth.min(12) + 1);
            let room = width.saturating_sub(indent.len());
            let _ = writeln!(out, "{indent}{}", cut(&plain(&span.status_message), room));
        }
    }
    out
}

/// Says how long a record waited in Kafka.
fn wait(queued: i64) -> String {
    format!(" waited {}", duration(queued))
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
    fn no_line_is_wider_than_the_terminal() {
        let of = |depth: usize| {
            let status_message = "it broke ".repeat(40);
            let span = Span { is_error: true, status_message, end: 1, ..Span::default() };
            let queued = (depth == 7).then_some(123_456_789);
            Node { span, depth, is_linked: false, batch_records: None, queued }
        };
        let nodes: Vec<Node> = (0..20).map(of).collect();
        for width in [80, 100, 200] {
            let text = waterfall("1", &nodes, width);
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!(longest.is_some_and(|longest| longest <= width), "{width}: {text}");
            assert!(text.contains("█ waited 123.5 ms\n"), "{text}");
        }
    }

    #[test]
    fn a_span_without_times_stretches_nothing() {
        let of = |start: i64, end: i64| {
            let span = Span { start, end, ..Span::default() };
            Node { span, depth: 0, is_linked: false, batch_records: None, queued: None }
        };
        let (start, ms) = (1_767_960_000_000_000_000, 1_000_000);
        // One that was never told, one without an end, and one that ends before it starts.
        let (half, whole) = (of(start, start + ms / 2), of(start, start + ms));
        let nodes = [half, whole, of(0, 0), of(start, 0), of(start + ms, start)];
        let text = waterfall("1", &nodes, 100);
        assert!(text.starts_with("trace 1   5 spans   1.0 ms "), "{text}");
        let bars = text.lines().skip(1).map(|line| line.matches('█').count());
        let bars: Vec<usize> = bars.collect();
        assert_eq!(bars[2..], [1, 1, 1]);
        assert_eq!(bars[0], bars[1] / 2, "{text}");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(waterfall("1", &[], 100), "");
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
