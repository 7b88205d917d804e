//! The states in which runs and tries end: Airflow's words, and those for ends that Airflow has no word for.

use serde::{Deserialize, Serialize};

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal, $result:literal, $error:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[derive(schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// Every state, in the order of its declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word for it, as the attribute `state` and the tag `state` carry it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The value of OpenTelemetry's `cicd.pipeline.*.result` for it.
            pub const fn cicd_result(self) -> &'static str {
                match self {
                    $(Self::$variant => $result,)*
                }
            }

            /// Whether its span has the status Error.
            pub const fn is_error(self) -> bool {
                match self {
                    $(Self::$variant => $error,)*
                }
            }

            /// The state with this word.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|state| state.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

states! {
    /// The state in which a DAG run ended.
    RunState {
        /// As it should.
        Success = "success", "success", false;
        /// With a failed task, by the engine's own judgement.
        Failed = "failed", "failure", true;
        /// Nothing in it ran, which is no fault.
        Skipped = "skipped", "skip", false;
        /// It took longer than it may.
        Timeout = "timeout", "timeout", true;
        /// A person ended it.
        Cancelled = "cancelled", "cancellation", false;
        /// Its end was never reported.
        Lost = "lost", "error", true;
    }
}

states! {
    /// The state in which a try of a task instance ended.
    TaskState {
        /// As it should.
        Success = "success", "success", false;
        /// For good.
        Failed = "failed", "failure", true;
        /// It failed, and another try follows.
        UpForRetry = "up_for_retry", "failure", true;
        /// It gave way, and is run again later (a sensor in reschedule mode).
        UpForReschedule = "up_for_reschedule", "skip", false;
        /// It was left out, by itself or with its upstream.
        Skipped = "skipped", "skip", false;
        /// It never ran, because something before it failed.
        UpstreamFailed = "upstream_failed", "skip", false;
        /// Its task is no longer in the DAG.
        Removed = "removed", "skip", false;
        /// It took longer than it may.
        Timeout = "timeout", "timeout", true;
        /// It never came to run, or was ended, because its run was ended.
        Cancelled = "cancelled", "cancellation", false;
        /// Its end was never reported: the process died, or forgot.
        Lost = "lost", "error", true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_parse_back_and_serialise_alike() {
        for state in TaskState::ALL {
            assert_eq!(TaskState::parse(state.as_str()), Some(*state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        for state in RunState::ALL {
            assert_eq!(RunState::parse(state.as_str()), Some(*state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        assert_eq!(TaskState::parse("sleeping"), None);
    }
}
