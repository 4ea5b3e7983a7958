//! No endpoint holds up a message.

use std::time::{Duration, Instant};

use crate::support::{
    endpoints::{ALL, Endpoint},
    load,
};

#[test]
fn no_endpoint_holds_up_a_message() {
    const SECONDS: u32 = 6;
    for state in ALL {
        let endpoint = Endpoint::new(state);
        let (recorder, exporter) = load::export_to(endpoint.port);
        let delays = load::run(&recorder, 5_000, SECONDS, || {});
        let start = Instant::now();
        let report = exporter.shutdown(Duration::from_millis(500));
        let took = start.elapsed();
        println!("{state:?}: {delays}; shutdown {took:?}: {report}");
        assert!(delays.quantile(0.999) < Duration::from_millis(1), "{state:?}: {delays}");
        assert!(took < Duration::from_millis(1_500), "{state:?}: shutdown took {took:?}");
        let told = report.exported.total() + report.dropped.total() + report.lost.total();
        assert_eq!(told, load::recorded(5_000 * u64::from(SECONDS)).total(), "{state:?} {report}");
        assert_eq!(report.dropped.total(), 0, "{state:?} {report}");
    }
}
