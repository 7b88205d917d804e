//! One broker of Kafka, its own controller, without ZooKeeper.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::part::{Part, Probe};
use crate::parts;
use crate::ports::free;

/// Any identity will do: nobody else is in its cluster.
const CLUSTER: &str = "ZGFndGVsLXRlc3QtY2x1cw";
/// Partitions of each topic.
const PARTITIONS: usize = 8;
/// Partitions of all topics.
pub(crate) const ALL_PARTITIONS: usize = PARTITIONS * TOPICS.len();
/// What the shipped configurations send and read.
const TOPICS: [&str; 4] = ["dagtel_events", "dagtel_spans", "dagtel_metrics", "dagtel_logs"];

/// A broker that is not started yet, and its port.
pub(crate) fn broker(directory: &Path) -> (Part, u16) {
    fs::create_dir_all(directory).expect("a directory can be made");
    let (port, controller) = (free(), free());
    let properties = directory.join("server.properties");
    fs::write(&properties, configuration(directory, port, controller)).expect("a file can be written");
    let program = parts::find(&parts::KAFKA);
    let mut format = Command::new(&program);
    format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]).arg(&properties);
    let formatted = format.stdout(Stdio::null()).stderr(tools_log(directory)).status();
    assert!(
        formatted.is_ok_and(|status| status.success()),
        "Kafka's storage was not formatted: tools.log says why"
    );
    let part = Part {
        name: "kafka",
        program,
        arguments: vec!["kafka.Kafka".into(), properties.display().to_string()],
        environment: Vec::new(),
        directory: directory.to_owned(),
        probes: vec![Probe::Tcp(port)],
        child: None,
    };
    (part, port)
}

fn configuration(directory: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\n\
         message.max.bytes=5000000\n\
         offsets.topic.num.partitions=1\n\
         offsets.topic.replication.factor=1\n\
         group.initial.rebalance.delay.ms=0\n",
        directory.join("data").display()
    )
}

/// Makes the topics, side by side.
pub(crate) fn create_topics(directory: &Path, port: u16) {
    let create = |topic: &str| -> Child {
        let mut command = Command::new(parts::find(&parts::KAFKA));
        command.args(["org.apache.kafka.tools.TopicCommand", "--create", "--topic", topic]);
        command.args([
            "--partitions",
            &PARTITIONS.to_string(),
            "--bootstrap-server",
            &format!("127.0.0.1:{port}"),
        ]);
        command.stdout(Stdio::null()).stderr(tools_log(directory));
        command.spawn().expect("Kafka's tool can be started")
    };
    let running: Vec<_> = TOPICS.iter().map(|topic| create(topic)).collect();
    for mut tool in running {
        assert!(tool.wait().is_ok_and(|status| status.success()), "a topic was not made: tools.log says why");
    }
}

/// What Kafka's tools say; mostly that nobody told them where to.
fn tools_log(directory: &Path) -> File {
    let log = File::options().create(true).append(true).open(directory.join("tools.log"));
    log.expect("the log can be opened")
}
