//! `dagtel view`: receives OTLP on this host and shows what comes in.

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use clap::Args;
use dagtel_receiver::{Answer, Received, ReceiverOptions, ReceiverThread};

use crate::show::{self, Store};
use crate::{Outcome, terminal};

/// How long nothing must come in before what came is shown.
const QUIET: Duration = Duration::from_millis(400);
/// Rows of one metric in the table.
const ROWS: usize = 12;
/// Requests that wait to be shown; a sender is told to come back beyond it.
const WAITING: usize = 1024;

/// Where to listen.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// The port of OTLP/gRPC; 0 for any that is free
    #[arg(long, default_value_t = 4317)]
    grpc_port: u16,
    /// The port of OTLP/HTTP; 0 for any that is free
    #[arg(long, default_value_t = 4318)]
    http_port: u16,
    /// Print OTLP JSON, one request a line, instead of trees and tables
    #[arg(long)]
    json: bool,
    /// Leave out metrics
    #[arg(long)]
    no_metrics: bool,
}

/// Runs the command, until it is interrupted.
///
/// # Errors
/// When a port is taken.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let (send, arrived) = mpsc::sync_channel(WAITING);
    let sink = move |request: Received| match send.try_send(request) {
        Ok(()) => Answer::Accept,
        Err(_) => Answer::Busy { retry_after: Duration::from_secs(1) },
    };
    let mut listen = ReceiverOptions::any_port();
    listen.grpc = Some(SocketAddr::new(options.bind, options.grpc_port));
    listen.http = Some(SocketAddr::new(options.bind, options.http_port));
    let receiver = ReceiverThread::start(listen, sink)?;
    if let (Some(grpc), Some(http)) = (receiver.grpc_addr(), receiver.http_addr()) {
        terminal::note(&format!("listening: OTLP/gRPC on {grpc}, OTLP/HTTP on http://{http}; Ctrl-C ends"));
    }
    show(options, &arrived);
    Ok(Outcome::Ok)
}

fn show(options: &Options, arrived: &mpsc::Receiver<Received>) {
    let mut store = Store::default();
    let (mut news, mut metrics) = (false, false);
    loop {
        match arrived.recv_timeout(if news { QUIET } else { Duration::MAX }) {
            Ok(request) if options.json => print_json(&request, options),
            Ok(request) => {
                news = true;
                metrics |= matches!(request, Received::Metrics(_)) && !options.no_metrics;
                add(&mut store, &request, options);
            }
            Err(RecvTimeoutError::Timeout) => {
                print(&store, metrics);
                store = Store::default();
                (news, metrics) = (false, false);
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn add(store: &mut Store, request: &Received, options: &Options) {
    match request {
        Received::Traces(request) => store.add_traces(request),
        Received::Metrics(request) if !options.no_metrics => store.add_metrics(request),
        Received::Logs(request) => {
            let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
            let records: usize = scopes.map(|scope| scope.log_records.len()).sum();
            terminal::note(&format!("{records} log records came in; use --json to see them"));
        }
        _ => {}
    }
}

fn print(store: &Store, metrics: bool) {
    let theme = terminal::theme();
    if store.traces().next().is_some() {
        terminal::say(&(show::all_traces(store, &theme) + "\n"));
    }
    if metrics {
        terminal::say(&(show::metric_table(store, ROWS, &theme) + "\n"));
    }
}

fn print_json(request: &Received, options: &Options) {
    let line = match request {
        Received::Traces(request) => serde_json::to_string(request),
        Received::Metrics(_) if options.no_metrics => return,
        Received::Metrics(request) => serde_json::to_string(request),
        Received::Logs(request) => serde_json::to_string(request),
        _ => return,
    };
    if let Ok(line) = line {
        terminal::say(&(line + "\n"));
    }
}
