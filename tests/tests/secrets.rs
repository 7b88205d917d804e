//! S9: 200 secrets in attributes, lines, exceptions, URLs, tags, arguments and configuration are nowhere in what is
//! written, sent, shown or said.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use dagtel::config::{Config, Environment};
use dagtel::core::value::SmolStr;
use dagtel::{DagRun, Dagtel, Exception, LogLine, Severity, TaskInstance};
use dagtel_system_tests::command::dagtel;
use dagtel_system_tests::wait::until;
use dagtel_testkit::Collector;

/// A secret, and a text that gives it away.
struct Hidden {
    secret: String,
    text: String,
    /// The attribute that it is the value of, when that gives it away.
    name: Option<&'static str>,
}

/// Names of attributes, the values of which are secrets.
const NAMES: [&str; 50] = [
    "password",
    "passwd",
    "db_password",
    "DB_PASSWORD",
    "dbPassword",
    "pgpassword",
    "smtp_pass",
    "passphrase",
    "secret",
    "client_secret",
    "clientSecret",
    "app.secret",
    "aws_secret_access_key",
    "secret_key",
    "SECRET_KEY_BASE",
    "token",
    "access_token",
    "refreshToken",
    "id_token",
    "auth_token",
    "slack.bot.token",
    "csrf_token",
    "bearer_token",
    "authorization",
    "Authorization",
    "proxy-authorization",
    "http.request.header.authorization",
    "cookie",
    "Set-Cookie",
    "http.request.header.cookie",
    "session_cookie",
    "dsn",
    "SENTRY_DSN",
    "database.dsn",
    "api_key",
    "apikey",
    "apiKey",
    "x-api-key",
    "OPENAI_API_KEY",
    "private_key",
    "privateKey",
    "ssh.private_key",
    "access_key",
    "accountKey",
    "azure.storage_key",
    "subscription-key",
    "fernet_key",
    "credential",
    "google.credentials",
    "connection_string",
];

/// Texts that name a secret, `%` in its place.
const NAMED: [&str; 60] = [
    "password=%",
    "password: %",
    "PASSWORD=%",
    "pwd=%;",
    "connecting with password=% to db",
    "passwd = %",
    "--password %",
    "--password=%",
    "mysql --pass=% -u root",
    "PGPASSWORD=% psql -h db",
    "export DB_PASSWORD='%'",
    "env: SECRET_KEY=%,",
    "{\"password\": \"%\"}",
    "{\"password\":\"%\",\"user\":\"me\"}",
    "{'password': '%'}",
    "{'password': u'%'}",
    "{\\\"api_key\\\": \\\"%\\\"}",
    "password => '%'",
    "password := \"%\"",
    "<password>x</password> secret=\"%\"",
    "ALTER ROLE me PASSWORD '%'",
    "CREATE USER me WITH PASSWORD '%' LOGIN",
    "Server=db;Uid=me;Pwd=%;Database=x",
    "Server=db;User Id=me;Password=%;",
    "AccountName=x;AccountKey=%;EndpointSuffix=core.windows.net",
    "SharedAccessKeyName=x;SharedAccessKey=%",
    "jdbc:postgresql://db/x?user=me&password=%",
    "token=%",
    "token: %",
    "TOKEN=% ./run.sh",
    "access_token=%&expires=3600",
    "GET /v1/me?access_token=%&fields=id",
    "?api_key=%&q=1",
    "&apikey=% HTTP/1.1",
    "https://h/blob?sv=2020&sig=%&se=2026",
    "X-Amz-Signature=%&X-Amz-Date=1",
    "X-Api-Key: %",
    "x-api-key: %\r\nhost: h",
    "Authorization: Bearer %",
    "Authorization: Basic %",
    "authorization: token %",
    "Authorization: Digest username=\"me\", response=\"%\"",
    "curl -H 'Authorization: Bearer %' https://h",
    "curl -H \"X-Auth-Token: %\" https://h",
    "headers={'Authorization': 'Bearer %'}",
    "Cookie: session=%; theme=dark",
    "Set-Cookie: sid=%; Path=/; HttpOnly",
    "{'Cookie': 'sid=%'}",
    "cookies: sid=%",
    "dsn=%",
    "SENTRY_DSN=%",
    "client_secret=%",
    "clientSecret: \"%\",",
    "secret='%'",
    "aws_secret_access_key = %",
    "fernet_key = %",
    "private_key: \"%\"",
    "credentials=%",
    "api_key=SecretStr('%')",
    "got Bearer % from the vault",
];

/// URLs with a user.
const URLS: [&str; 20] = [
    "postgres://app:%@db:5432/orders",
    "postgresql+psycopg2://app:%@db/orders",
    "mysql://root:%@10.0.0.1/x",
    "redis://:%@cache:6379/0",
    "rediss://default:%@cache",
    "amqp://guest:%@mq:5672//",
    "mongodb://me:%@a,b,c/x?w=1",
    "mongodb+srv://me:%@cluster0.x.net",
    "https://me:%@git.example.com/a.git",
    "https://%@git.example.com/a.git",
    "http://%:x-oauth-basic@github.com/a/b",
    "ftp://me:%@files/x",
    "smtp://me:%@mail:587",
    "snowflake://me:%@acct/db",
    "clone from https://me:%@h/r.git failed",
    "('http://me:%@proxy:3128',)",
    "ldap://cn=x:%@dir",
    "sqlserver://sa:%@h:1433",
    "trino://me:%@trino:443/hive",
    "proxy=http://me:%@proxy:3128/",
];

/// How tokens begin that are known by that, and from what they are made up to what length.
const TOKENS: [(&str, &str, usize); 60] = [
    ("AKIA", UPPER, 16),
    ("ASIA", UPPER, 16),
    ("AIza", WORD, 35),
    ("ya29.", WORD, 60),
    ("GOCSPX-", WORD, 28),
    ("ghp_", WORD, 36),
    ("gho_", WORD, 36),
    ("ghu_", WORD, 36),
    ("ghs_", WORD, 36),
    ("ghr_", WORD, 36),
    ("github_pat_", WORD, 82),
    ("glpat-", WORD, 20),
    ("gldt-", WORD, 20),
    ("glrt-", WORD, 20),
    ("glptt-", WORD, 40),
    ("xoxb-", WORD, 40),
    ("xoxp-", WORD, 60),
    ("xoxa-", WORD, 40),
    ("xoxr-", WORD, 40),
    ("xoxs-", WORD, 40),
    ("xapp-", WORD, 60),
    ("sk-", WORD, 48),
    ("sk-proj-", WORD, 80),
    ("sk-ant-api03-", WORD, 90),
    ("hf_", WORD, 34),
    ("gsk_", WORD, 50),
    ("r8_", WORD, 37),
    ("sk_live_", WORD, 24),
    ("sk_test_", WORD, 24),
    ("rk_live_", WORD, 24),
    ("whsec_", WORD, 32),
    ("shpat_", HEX, 32),
    ("shpss_", HEX, 32),
    ("sq0atp-", WORD, 22),
    ("sq0csp-", WORD, 43),
    ("npm_", WORD, 36),
    ("pypi-AgEIcHlwaS5vcmc", WORD, 60),
    ("dckr_pat_", WORD, 27),
    ("rubygems_", HEX, 48),
    ("dapi", HEX, 32),
    ("dop_v1_", HEX, 64),
    ("NRAK-", UPPER, 27),
    ("glsa_", WORD, 32),
    ("sntryu_", HEX, 64),
    ("hvs.", WORD, 90),
    ("dp.pt.", WORD, 43),
    ("tskey-auth-", WORD, 30),
    ("key-", HEX, 32),
    ("PMAK-", HEX, 59),
    ("ATATT3", WORD, 180),
    ("LTAI", WORD, 20),
    ("AGE-SECRET-KEY-1", UPPER, 58),
    ("amzn.mws.", WORD, 36),
    ("SG.", WORD, 66),
    ("hooks.slack.com/services/T0/B0/", WORD, 24),
    ("discord.com/api/webhooks/1/", WORD, 60),
    ("api.telegram.org/bot123:", WORD, 35),
    ("eyJhbGciOiJIUzI1NiJ9.", WORD, 80),
    ("eyJraWQiOiJhIn0.eyJzdWIi.", WORD, 43),
    ("eyJrIjoi", WORD, 60),
];
const UPPER: &str = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const WORD: &str = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const HEX: &str = "0123456789abcdef";

/// Made up of an alphabet by a linear congruential generator: the same each time, and no two alike. It ends in a digit.
fn made_up(number: usize, alphabet: &str, length: usize) -> String {
    let letters = alphabet.as_bytes();
    let mut state =
        (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) + (letters.len() * 1000 + length) as u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(letters[usize::try_from(state >> 40).unwrap_or_default() % letters.len()])
    };
    format!("{}{}", (1..length).map(|_| letter()).collect::<String>(), number % 10)
}

fn corpus() -> Vec<Hidden> {
    let mut all = Vec::new();
    for (number, name) in NAMES.into_iter().enumerate() {
        let secret = format!("zq{number}-{}", made_up(number, WORD, 14));
        all.push(Hidden { text: secret.clone(), secret, name: Some(name) });
    }
    for (number, text) in NAMED.into_iter().chain(URLS).enumerate() {
        let secret = format!("vx{number}-{}", made_up(number, WORD, 14));
        all.push(Hidden { text: text.replace('%', &secret), secret, name: None });
    }
    for (number, (begins, alphabet, length)) in TOKENS.into_iter().enumerate() {
        let secret = made_up(number, alphabet, length);
        let text = format!("the answer was {begins}{secret}, and no other");
        all.push(Hidden { text, secret, name: None });
    }
    for (number, kind) in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", "DSA "].into_iter().enumerate() {
        let secret = made_up(number, WORD, 64);
        let text = format!("-----BEGIN {kind}PRIVATE KEY-----\n{secret}\n-----END {kind}PRIVATE KEY-----");
        all.push(Hidden { text, secret, name: None });
    }
    for number in 0..4 {
        let secret = made_up(number, WORD, 48);
        let text = format!("-----BEGIN PRIVATE KEY-----\\n{secret}\\n");
        all.push(Hidden { text, secret, name: None });
    }
    all
}

/// Everything in a directory but the inbox, whose files are their writers' own.
fn files(dir: &Path, found: &mut Vec<u8>) {
    for entry in fs::read_dir(dir).expect("it can be listed").flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && entry.file_name() != "inbox" => files(&path, found),
            // A file may be gone by now.
            Ok(kind) if kind.is_file() => found.extend(fs::read(&path).unwrap_or_default()),
            _ => {}
        }
    }
}

/// The secrets of which a text holds any part that would tell it.
fn seen<'a>(corpus: &'a [Hidden], text: &str) -> BTreeSet<&'a str> {
    let part = |hidden: &'a Hidden| &hidden.secret[..hidden.secret.len().min(12)];
    corpus.iter().filter(|hidden| text.contains(part(hidden))).map(|hidden| hidden.text.as_str()).collect()
}

/// Reports every secret in every place that an engine has.
fn report(spool: &Path, corpus: &[Hidden]) {
    let mut builder = Dagtel::builder("engine").spool(spool);
    for (number, hidden) in corpus.iter().enumerate().take(100) {
        let name = hidden.name.map_or_else(|| format!("tag{number}"), str::to_owned);
        builder = builder.tag(name.clone(), hidden.text.clone()).resource(name, hidden.text.clone());
    }
    let dagtel = builder.reporter().expect("a temporary directory can be a spool");
    let run = dagtel.start(DagRun::new("secrets", "r"));
    for (number, hidden) in corpus.iter().enumerate() {
        let key: SmolStr = hidden.name.map_or_else(|| format!("note{number}").into(), SmolStr::new);
        let arguments = vec![SmolStr::new("load"), hidden.text.as_str().into()];
        let described = TaskInstance::new("t").map_index(i32::try_from(number).expect("200 are few"));
        let described = described.attribute(key.clone(), hidden.text.clone());
        let task = run.start(if hidden.name.is_none() {
            described.attribute("process.command_args", arguments)
        } else {
            described
        });
        let attributes = vec![(key, hidden.text.clone().into())];
        let said = if hidden.name.is_some() { "nothing".to_owned() } else { hidden.text.clone() };
        task.logger().log_line(LogLine { severity: Severity::Info, body: said.clone().into(), attributes });
        let shown = format!("{dagtel:?} {run:?} {task:?} {:?}", task.logger());
        assert!(seen(corpus, &shown).is_empty(), "{shown}");
        let stacktrace = format!("Traceback:\n  File \"x.py\", line 1\nValueError: {said}").into();
        let message = said.into();
        task.failed(Exception { kind: "ValueError".into(), message, stacktrace });
    }
    run.failed();
}

/// The same as lines of another language, good and bad ones.
fn inbox(spool: &Path, corpus: &[Hidden]) {
    let mut lines = String::new();
    for (number, hidden) in corpus.iter().enumerate() {
        let key = hidden.name.unwrap_or("note");
        let body = if hidden.name.is_some() { "nothing" } else { hidden.text.as_str() };
        let line = serde_json::json!({
            "event": "task.log", "at": 1_795_208_640.5, "dag_id": "secrets", "run_id": "lines", "task_id": "t",
            "map_index": number, "body": body, "attributes": { key: hidden.text.as_str() },
        });
        lines += &format!("{line}\n");
        let wrong = serde_json::json!({ "event": "dag_run.finished", "at": 1, "dag_id": "d", "run_id": "r", "state": body });
        lines += &format!("{wrong}\n");
    }
    let inbox = spool.join("inbox");
    fs::create_dir_all(&inbox).expect("a temporary directory");
    fs::write(inbox.join("other.jsonl"), lines).expect("a temporary directory");
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn no_secret_is_written_sent_shown_or_said() {
    let corpus = corpus();
    assert_eq!(corpus.len(), 200);
    let distinct: BTreeSet<_> =
        corpus.iter().map(|hidden| &hidden.secret[..hidden.secret.len().min(12)]).collect();
    assert_eq!(distinct.len(), 200, "each can be looked for");
    let (dir, collector) = (tempfile::tempdir().expect("a temporary directory"), Collector::start());
    let spool = dir.path().join("spool");
    report(&spool, &corpus);
    let mut written = Vec::new();
    files(&spool, &mut written);
    assert!(written.len() > 50_000, "something is written");
    assert_eq!(seen(&corpus, &String::from_utf8_lossy(&written)), BTreeSet::new(), "in the journal");

    inbox(&spool, &corpus);
    let header = &corpus[20].secret;
    let said = dir.path().join("said");
    let log = fs::File::create(&said).expect("a temporary directory");
    let mut agent = dagtel();
    agent
        .args(["agent", "--metric-interval", "0.2", "--endpoint", &collector.endpoint(), "--spool"])
        .arg(&spool);
    agent.env("DAGTEL_AGENT_HTTP_SERVER__ON", "true").env("DAGTEL_AGENT_HTTP_SERVER__PORT", "0");
    agent.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{header}"));
    let agent = agent.stdout(Stdio::null()).stderr(log).spawn();
    let _agent = Running(agent.expect("dagtel can be started"));
    let taken = collector.wait_for_within(Duration::from_secs(60), |taken| {
        taken.oracle().distinct == 201 && taken.logs().count() == 400
    });
    let wire = format!("{:?} {:?} {:?}", taken.traces, taken.metrics, taken.logs);
    assert_eq!(seen(&corpus, &wire), BTreeSet::new(), "on the wire");

    let log = fs::read_to_string(&said).expect("the agent says something");
    let page = log
        .lines()
        .find_map(|line| line.strip_prefix("serving "))
        .expect("it says where it serves")
        .to_owned();
    let page = until("the page of the agent", Duration::from_secs(20), || {
        let page = ureq::get(&page).call().and_then(|mut page| page.body_mut().read_to_string());
        let page = page.map_err(|error| error.to_string())?;
        let told = page.contains("dagtel_anomalies_total{reason=\"redacted\"}") && page.contains("bad_line");
        if told { Ok(page) } else { Err(page) }
    });
    assert_eq!(seen(&corpus, &page), BTreeSet::new(), "on the page");
    let log = fs::read_to_string(&said).expect("the agent says something");
    assert!(log.contains("bad lines"), "the agent names a bad line: {log}");
    assert_eq!(seen(&corpus, &log), BTreeSet::new(), "in the agent's log");
    let mut written = Vec::new();
    files(&spool, &mut written);
    assert_eq!(seen(&corpus, &String::from_utf8_lossy(&written)), BTreeSet::new(), "in the spool");

    let environment = Environment::from_iter([(
        "OTEL_EXPORTER_OTLP_HEADERS",
        format!("authorization=Bearer%20{header}").as_str(),
    )]);
    let shown = format!("{:?} {environment:?}", Config::load(None, &environment));
    assert_eq!(seen(&corpus, &shown), BTreeSet::new(), "in the configuration as it is shown");
    let masked =
        page.lines().find_map(|line| line.strip_prefix("dagtel_anomalies_total{reason=\"redacted\"} "));
    println!(
        "secrets: {} in the corpus, {} masked, 0 found in {} bytes of the spool, {} of requests, {} of the page, {} of the log",
        corpus.len(),
        masked.unwrap_or("?"),
        written.len(),
        wire.len(),
        page.len(),
        log.len(),
    );
}
