//! Each opt-out alone and all together, in every spelling: not one connection.

use dagtel_usage::json::Dict;
use dagtel_usage::{Consent, DO_NOT_TRACK, ENABLE_TELEMETRY, Emitter, SCARF_NO_ANALYTICS, StandardMetrics};
use tracing::Level;

use crate::warnings::Log;
use dagtel_testkit::gateway::{HUNG, Server, says};

const OUT: [&str; 14] =
    ["1", "t", "T", "true", "True", "TRUE", " true ", "yes", "on", "no", "off", "n", "0.0", "null"];
const NOT_ENABLED: [&str; 14] = [
    "f",
    "F",
    "false",
    "False",
    "FALSE",
    "0",
    " false ",
    "False # why",
    "no",
    "off",
    "yes",
    "",
    "maybe",
    "#1",
];

fn emits(server: &Server, consent: &Consent, variables: &[(&str, &str)]) -> bool {
    let (gateway, environment) = (server.gateway(), server.environment(variables));
    let standard = StandardMetrics::new("1.15.1", "3.0.2", "3.11.7");
    let emitter = Emitter::new(consent.clone(), standard, Some(gateway), environment);
    let mut asked = false;
    let taken = emitter.emit_usage_metrics_if_enabled("dag_run", || {
        asked = true;
        Dict::new()
    });
    assert!(emitter.flush(HUNG));
    assert_eq!((asked, emitter.stats().handed), (taken, u64::from(taken)), "{variables:?}");
    taken
}

#[test]
fn no_opt_out_lets_a_connection_through() {
    let log = Log::begin();
    let server = Server::http(says("200 OK"));
    let yes = Consent::default();
    let mut tried = 0;
    let mut stays_off = |consent: &Consent, variables: &[(&str, &str)]| {
        assert!(!emits(&server, consent, variables), "{consent:?} {variables:?}");
        tried += 1;
    };
    for out in OUT {
        stays_off(&yes, &[(DO_NOT_TRACK, out)]);
        stays_off(&yes, &[(SCARF_NO_ANALYTICS, out)]);
        stays_off(&yes, &[(DO_NOT_TRACK, out), (SCARF_NO_ANALYTICS, "0")]);
        for not_enabled in NOT_ENABLED {
            let configured = Consent { enable_telemetry: Some(not_enabled.to_owned()), force_in_ci: true };
            stays_off(&configured, &[(DO_NOT_TRACK, out), (SCARF_NO_ANALYTICS, out)]);
            let all = [(ENABLE_TELEMETRY, not_enabled), (DO_NOT_TRACK, out), (SCARF_NO_ANALYTICS, out)];
            stays_off(&yes, &all);
        }
    }
    for not_enabled in NOT_ENABLED {
        let configured = Consent { enable_telemetry: Some(not_enabled.to_owned()), ..Consent::default() };
        stays_off(&configured, &[]);
        stays_off(&yes, &[(ENABLE_TELEMETRY, not_enabled)]);
    }
    stays_off(&yes, &[("CI", "true")]);
    println!("{tried} combinations, {} connections", server.connections());
    assert_eq!(server.connections(), 0);
    assert_eq!(log.at(Level::DEBUG).len(), tried);

    // The same way lets an event through when nobody is against it.
    assert!(emits(&server, &yes, &[(DO_NOT_TRACK, "0"), (SCARF_NO_ANALYTICS, "")]));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_disabled_emitter_says_how_to_enable_it() {
    let log = Log::begin();
    let server = Server::http(says("200 OK"));
    assert!(!emits(&server, &Consent::default(), &[(ENABLE_TELEMETRY, "False")]));
    let lines = log.at(Level::DEBUG);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("Telemetry is disabled"), "{lines:?}");
    assert!(lines[0].contains("export AIRFLOW__COSMOS__ENABLE_TELEMETRY=True"), "{lines:?}");
}
