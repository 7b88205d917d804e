//! Whether anything may be sent at all.

use std::ffi::OsString;

use crate::Environment;

/// The variable that overrides the configuration, by the name that Airflow gives the setting `[cosmos]
/// enable_telemetry`.
pub const ENABLE_TELEMETRY: &str = "AIRFLOW__COSMOS__ENABLE_TELEMETRY";
/// The opt-out that many programs share.
pub const DO_NOT_TRACK: &str = "DO_NOT_TRACK";
/// The opt-out of Scarf, whose gateway receives the original's events.
pub const SCARF_NO_ANALYTICS: &str = "SCARF_NO_ANALYTICS";

/// Variables by which CI services are told: first those that most of them set to something true, then those of services
/// that do not set these, where any value counts.
const CI_FLAGS: [&str; 2] = ["CI", "CONTINUOUS_INTEGRATION"];
const CI_MARKS: [&str; 4] = ["JENKINS_URL", "TEAMCITY_VERSION", "TF_BUILD", "CODEBUILD_BUILD_ID"];

/// What the configuration says about sending. The environment is read anew each time somebody asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// The setting `enable_telemetry` as it is written; `None` when it is not, which means yes.
    pub enable_telemetry: Option<String>,
    /// Send from CI as well. The opt-outs hold all the same.
    pub force_in_ci: bool,
}

/// Why nothing may be sent. No variant has the value that was read: it may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// `enable_telemetry` says no.
    #[error("telemetry is disabled by enable_telemetry; to enable it, export {ENABLE_TELEMETRY}=True")]
    Disabled,
    /// `enable_telemetry` says neither yes nor no.
    #[error("enable_telemetry is neither true (true, t, 1) nor false (false, f, 0), which counts as false")]
    Unreadable,
    /// `DO_NOT_TRACK` is set.
    #[error("the variable {DO_NOT_TRACK} opts out; to send, unset it")]
    DoNotTrack,
    /// `SCARF_NO_ANALYTICS` is set.
    #[error("the variable {SCARF_NO_ANALYTICS} opts out; to send, unset it")]
    NoAnalytics,
    /// This is a CI job.
    #[error("this runs in CI, where nothing is sent unless it is forced")]
    Ci,
}

impl Consent {
    /// Whether events may be sent, as of now.
    pub fn should_emit(&self, environment: &Environment) -> bool {
        self.refusal(environment).is_none()
    }

    /// What stands against sending, as of now; the first reason of several.
    pub fn refusal(&self, environment: &Environment) -> Option<Refusal> {
        if let Some(refusal) = self.disabled(environment) {
            return Some(refusal);
        }
        if opts_out(environment.get(DO_NOT_TRACK)) {
            return Some(Refusal::DoNotTrack);
        }
        if opts_out(environment.get(SCARF_NO_ANALYTICS)) {
            return Some(Refusal::NoAnalytics);
        }
        (!self.force_in_ci && in_ci(environment)).then_some(Refusal::Ci)
    }

    /// Reads `enable_telemetry` by Airflow's rule for booleans: what follows a `#` is a comment, the environment goes
    /// before the configuration.
    fn disabled(&self, environment: &Environment) -> Option<Refusal> {
        let value = match environment.get(ENABLE_TELEMETRY).map(OsString::into_string) {
            Some(Ok(text)) => text,
            Some(Err(_)) => return Some(Refusal::Unreadable),
            None => self.enable_telemetry.clone()?,
        };
        let word = value.split('#').next().unwrap_or_default().trim().to_lowercase();
        match word.as_str() {
            "t" | "true" | "1" => None,
            "f" | "false" | "0" => Some(Refusal::Disabled),
            _ => Some(Refusal::Unreadable),
        }
    }
}

/// Everything that does not plainly say "no" is an opt-out: `no` and `off` too, as in the original.
fn opts_out(value: Option<OsString>) -> bool {
    let Some(value) = value else { return false };
    value.into_string().map_or(true, |text| {
        !matches!(text.trim().to_lowercase().as_str(), "f" | "false" | "0" | "" | "none")
    })
}

fn in_ci(environment: &Environment) -> bool {
    CI_FLAGS.iter().any(|name| opts_out(environment.get(name)))
        || CI_MARKS.iter().any(|name| environment.get(name).is_some_and(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &[(&str, &str)]) -> Environment {
        let set: Vec<(String, String)> =
            set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Environment::new(move |name| set.iter().find(|(k, _)| k == name).map(|(_, v)| v.into()))
    }

    fn with_config(value: &str) -> Consent {
        Consent { enable_telemetry: Some(value.to_owned()), ..Consent::default() }
    }

    #[test]
    fn true_by_default() {
        assert!(Consent::default().should_emit(&environment(&[])));
    }

    #[test]
    fn true_when_only_enable_telemetry_is_true() {
        let consent = with_config("True");
        assert!(consent.should_emit(&environment(&[(DO_NOT_TRACK, "False"), (SCARF_NO_ANALYTICS, "0")])));
    }

    #[test]
    fn false_when_do_not_track() {
        assert_eq!(with_config("1").refusal(&environment(&[(DO_NOT_TRACK, "1")])), Some(Refusal::DoNotTrack));
    }

    #[test]
    fn false_when_no_analytics() {
        let set = environment(&[(SCARF_NO_ANALYTICS, "True")]);
        assert_eq!(with_config("1").refusal(&set), Some(Refusal::NoAnalytics));
    }

    #[test]
    fn the_opt_outs_have_the_originals_truth_table() {
        for name in [DO_NOT_TRACK, SCARF_NO_ANALYTICS] {
            for no in ["f", "false", "False", "FALSE", "0", "", "none", "None", "  ", " False\t", "F"] {
                assert!(Consent::default().should_emit(&environment(&[(name, no)])), "{name}={no:?}");
            }
            for yes in
                ["1", "t", "true", "yes", "y", "on", "no", "n", "off", "0.0", "00", "null", "nil", "#", "-"]
            {
                assert!(!Consent::default().should_emit(&environment(&[(name, yes)])), "{name}={yes:?}");
            }
        }
    }

    #[test]
    fn enable_telemetry_is_read_like_airflow_does_and_what_it_refuses_means_no() {
        for (value, refusal) in [
            ("t", None),
            ("True", None),
            (" 1 ", None),
            ("true # for now", None),
            ("f", Some(Refusal::Disabled)),
            ("FALSE", Some(Refusal::Disabled)),
            ("0#1", Some(Refusal::Disabled)),
            ("no", Some(Refusal::Unreadable)),
            ("off", Some(Refusal::Unreadable)),
            ("yes", Some(Refusal::Unreadable)),
            ("", Some(Refusal::Unreadable)),
            ("# true", Some(Refusal::Unreadable)),
            ("Flase", Some(Refusal::Unreadable)),
        ] {
            assert_eq!(with_config(value).refusal(&environment(&[])), refusal, "configuration {value:?}");
            let set = environment(&[(ENABLE_TELEMETRY, value)]);
            assert_eq!(Consent::default().refusal(&set), refusal, "environment {value:?}");
            let other = with_config(if refusal.is_some() { "True" } else { "False" });
            assert_eq!(other.refusal(&set), refusal, "the environment goes first, {value:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_means_no() {
        use std::os::unix::ffi::OsStringExt as _;
        for name in [ENABLE_TELEMETRY, DO_NOT_TRACK, SCARF_NO_ANALYTICS] {
            let odd =
                Environment::new(move |asked| (asked == name).then(|| OsString::from_vec(vec![0x66, 0xff])));
            assert!(!Consent::default().should_emit(&odd), "{name}");
        }
    }

    #[test]
    fn off_in_ci_unless_forced() {
        let forced = Consent { force_in_ci: true, ..Consent::default() };
        for ci in [("CI", "true"), ("CI", "1"), ("TF_BUILD", "True"), ("JENKINS_URL", "http://ci/")] {
            assert_eq!(Consent::default().refusal(&environment(&[ci])), Some(Refusal::Ci), "{ci:?}");
            assert!(forced.should_emit(&environment(&[ci])), "{ci:?}");
            let opted_out = environment(&[ci, (DO_NOT_TRACK, "1")]);
            assert_eq!(forced.refusal(&opted_out), Some(Refusal::DoNotTrack), "{ci:?}");
        }
        assert!(Consent::default().should_emit(&environment(&[("CI", "false"), ("TF_BUILD", "")])));
    }

    #[test]
    fn the_environment_is_read_when_asked() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, Ordering};
        let told = Arc::new(AtomicBool::new(false));
        let seen = told.clone();
        let changing = Environment::new(move |name| {
            (name == DO_NOT_TRACK && seen.load(Ordering::SeqCst)).then(|| "1".into())
        });
        let consent = Consent::default();
        assert!(consent.should_emit(&changing));
        told.store(true, Ordering::SeqCst);
        assert!(!consent.should_emit(&changing));
    }
}
