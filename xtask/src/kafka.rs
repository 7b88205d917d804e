//! Kafka, fetched with Maven: its published jars, and a script that runs a class of them.

use crate::{
    cache::{self, Recipe},
    command::{Job, on_path},
    failure::{Failure, Result, at},
};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
};

/// `kafka-java CLASS [ARGUMENT…]`: the scripts that Kafka itself ships are not in Maven's repository.
pub(crate) const NAME: &str = "kafka-java";

const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>invalid.dagtel</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>3.9.1</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>3.9.1</version>
    </dependency>
  </dependencies>
</project>
"#;

const SCRIPT: &str = r#"#!/bin/sh
jars="$(dirname "$(readlink -f "$0")")/libs"
exec java -Xmx400m -cp "$jars/*" "$@"
"#;

pub(crate) fn fetch() -> Result<PathBuf> {
    let recipe = Recipe { name: NAME, inputs: &[POM, SCRIPT], products: &[NAME] };
    cache::get_or_build(&recipe, |place| {
        for program in ["java", "mvn"] {
            if on_path(program).is_none() {
                return Err(Failure(format!(
                    "{program} is not on the PATH, and Kafka is fetched by Maven and run by Java. Install a Java \
                     runtime (17 or newer) and Maven, or name a script in DAGTEL_KAFKA that runs the class of Kafka \
                     that is its first argument."
                )));
            }
        }
        let job = Job::start(NAME, "fetching Kafka", "10 seconds")?;
        let pom = place.scratch.join("pom.xml");
        fs::write(&pom, POM).map_err(at("Writing", &pom))?;
        let mut maven = Command::new("mvn");
        maven.current_dir(&place.scratch).args(["--batch-mode", "dependency:copy-dependencies"]);
        let libs = place.output.join("libs");
        job.run("downloading", maven.arg(format!("-DoutputDirectory={}", libs.display())))?;
        let script = place.output.join(NAME);
        fs::write(&script, SCRIPT).map_err(at("Writing", &script))?;
        fs::set_permissions(&script, Permissions::from_mode(0o755)).map_err(at("Setting up", &script))?;
        job.done();
        Ok(())
    })
}
