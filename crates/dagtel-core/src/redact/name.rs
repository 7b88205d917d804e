//! Whether the name of a value says that the value is a secret.

use super::sieve::{Builder, Sieve};

/// What the name of a value says of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// It is a secret.
    Secret,
    /// It is a secret unless it is a plain number: `tokens` are counted too.
    UnlessNumber,
    /// It is a header that is secret to the end of its line.
    Line,
}

/// Parts of names, written together in small letters, that make a name secret wherever they stand in it.
const PARTS: [(&str, Secrecy); 25] = [
    ("password", Secrecy::Secret),
    ("passwd", Secrecy::Secret),
    ("passphrase", Secrecy::Secret),
    ("passcode", Secrecy::Secret),
    ("secret", Secrecy::Secret),
    ("credential", Secrecy::Secret),
    ("apikey", Secrecy::Secret),
    ("accesskey", Secrecy::Secret),
    ("accountkey", Secrecy::Secret),
    ("privatekey", Secrecy::Secret),
    ("signingkey", Secrecy::Secret),
    ("encryptionkey", Secrecy::Secret),
    ("fernetkey", Secrecy::Secret),
    ("masterkey", Secrecy::Secret),
    ("storagekey", Secrecy::Secret),
    ("subscriptionkey", Secrecy::Secret),
    ("sharedaccess", Secrecy::Secret),
    ("amzsignature", Secrecy::Secret),
    ("keyfiledict", Secrecy::Secret),
    ("keyfilejson", Secrecy::Secret),
    ("connectionstring", Secrecy::Secret),
    ("connstr", Secrecy::Secret),
    ("token", Secrecy::UnlessNumber),
    ("authorization", Secrecy::Line),
    ("cookie", Secrecy::Line),
];

/// Words that make a name secret only as words of their own.
const WORDS: [(&str, Secrecy); 8] = [
    ("dsn", Secrecy::Secret),
    ("pwd", Secrecy::UnlessNumber),
    ("pass", Secrecy::UnlessNumber),
    ("pgpass", Secrecy::Secret),
    ("auth", Secrecy::UnlessNumber),
    ("jwt", Secrecy::Secret),
    ("creds", Secrecy::Secret),
    ("sig", Secrecy::UnlessNumber),
];

/// Last words of names that speak about a secret without telling it.
const ABOUT: [&str; 36] = [
    "name",
    "type",
    "count",
    "counts",
    "length",
    "len",
    "size",
    "url",
    "uri",
    "endpoint",
    "file",
    "path",
    "dir",
    "version",
    "ttl",
    "age",
    "expires",
    "expiry",
    "expiration",
    "at",
    "timeout",
    "enabled",
    "required",
    "policy",
    "limit",
    "limits",
    "usage",
    "used",
    "provider",
    "backend",
    "store",
    "manager",
    "arn",
    "scope",
    "scopes",
    "method",
];

/// Of a name of a secret at least one of these is a part.
static SIEVE: Sieve = Builder::new().any_case(&super::NAMES).any_case(&["pass"]).build();

/// What a name says of its value; `None` when it says nothing.
pub(super) fn secrecy(name: &str) -> Option<Secrecy> {
    if may_be_secret(name) { judge(name) } else { None }
}

pub(super) fn may_be_secret(name: &str) -> bool {
    SIEVE.passes(name)
}

#[cold]
pub(super) fn judge(name: &str) -> Option<Secrecy> {
    let words = words(name);
    let words: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
    if words.last().is_some_and(|last| words.len() > 1 && ABOUT.contains(last)) {
        return None;
    }
    let together = words.concat();
    let part = PARTS.iter().find(|(part, _)| together.contains(part));
    let word = || WORDS.iter().find(|(word, _)| words.last() == Some(word));
    part.or_else(word).map(|(_, secrecy)| *secrecy)
}

/// The words of a name in small letters with spaces between: `dbPassword`, `DB_PASSWORD` and `db.password` have the same.
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    let mut small = false;
    for letter in name.chars() {
        if !letter.is_ascii_alphanumeric() {
            words.push(' ');
        } else {
            if small && letter.is_ascii_uppercase() {
                words.push(' ');
            }
            words.push(letter.to_ascii_lowercase());
        }
        small = letter.is_ascii_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in [
            "password",
            "DB_PASSWORD",
            "dbPassword",
            "spring.datasource.password",
            "PGPASSWORD",
            "smtp_pass",
            "pwd",
            "client_secret",
            "AWS_SECRET_ACCESS_KEY",
            "aws_access_key_id",
            "X-Api-Key",
            "apiKey",
            "api_key",
            "api key",
            "private_key",
            "SENTRY_DSN",
            "dsn",
            "connection_string",
            "conn_str",
            "AccountKey",
            "credentials",
            "creds",
            "SharedAccessSignature",
            "jwt",
            "fernet_key",
            "keyfile_dict",
            "X-Amz-Signature",
            "sig",
            "passphrase",
        ] {
            assert!(secrecy(name).is_some(), "{name}");
        }
        for name in ["token", "access_token", "refreshToken", "gen_ai.usage.input_tokens", "auth"] {
            assert_eq!(secrecy(name), Some(Secrecy::UnlessNumber), "{name}");
        }
        for name in ["Authorization", "Proxy-Authorization", "Set-Cookie", "cookie"] {
            assert_eq!(secrecy(name), Some(Secrecy::Line), "{name}");
        }
    }

    #[test]
    fn other_names() {
        for name in crate::catalog::attribute::ALL {
            assert_eq!(secrecy(name), None, "{name}");
        }
        for name in [
            "author",
            "authority",
            "token_type",
            "token_count",
            "secret_name",
            "password_file",
            "monkey",
            "keyboard",
            "primary_key",
            "key",
            "passed",
            "bypass_mode",
            "compass",
            "cookie_name",
            "oauth2_url",
            "host.name",
            "messaging.destination.name",
            "design",
            "assigned",
            "signal",
            "passenger",
            "",
        ] {
            assert_eq!(secrecy(name), None, "{name}");
        }
    }
}
