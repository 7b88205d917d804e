//! Secrets that are known by how they begin.

use std::ops::Range;

/// What may follow the beginning of a secret.
#[derive(Clone, Copy)]
pub(super) enum Tail {
    /// Letters, digits, `_` and `-`.
    Word,
    /// The same, `.`, and what else base64 has.
    Base64,
    /// Capital letters and digits.
    Capitals,
    /// Hexadecimal digits.
    Hex,
}

/// How secrets of a kind begin, what follows, and at least how much of it.
pub(super) struct Prefix {
    pub(super) begins: &'static str,
    tail: Tail,
    least: usize,
}

const fn prefix(begins: &'static str, tail: Tail, least: usize) -> Prefix {
    Prefix { begins, tail, least }
}

/// As their makers publish them, mostly for scanners of this sort.
pub(super) const PREFIXES: [Prefix; 72] = [
    // Amazon, Alibaba, Tencent
    prefix("AKIA", Tail::Capitals, 16),
    prefix("ASIA", Tail::Capitals, 16),
    prefix("ABIA", Tail::Capitals, 16),
    prefix("ACCA", Tail::Capitals, 16),
    prefix("amzn.mws.", Tail::Word, 20),
    prefix("LTAI", Tail::Word, 16),
    prefix("AKID", Tail::Word, 24),
    // Google
    prefix("AIza", Tail::Word, 35),
    prefix("ya29.", Tail::Base64, 20),
    prefix("GOCSPX-", Tail::Word, 20),
    // GitHub, GitLab
    prefix("ghp_", Tail::Word, 20),
    prefix("gho_", Tail::Word, 20),
    prefix("ghu_", Tail::Word, 20),
    prefix("ghs_", Tail::Word, 20),
    prefix("ghr_", Tail::Word, 20),
    prefix("github_pat_", Tail::Word, 20),
    prefix("glpat-", Tail::Base64, 16),
    prefix("gldt-", Tail::Base64, 16),
    prefix("glrt-", Tail::Base64, 16),
    prefix("glcbt-", Tail::Base64, 16),
    prefix("glptt-", Tail::Base64, 16),
    prefix("glft-", Tail::Base64, 16),
    // Slack
    prefix("xoxb-", Tail::Word, 10),
    prefix("xoxp-", Tail::Word, 10),
    prefix("xoxa-", Tail::Word, 10),
    prefix("xoxr-", Tail::Word, 10),
    prefix("xoxs-", Tail::Word, 10),
    prefix("xoxe-", Tail::Word, 10),
    prefix("xoxc-", Tail::Word, 10),
    prefix("xoxd-", Tail::Base64, 10),
    prefix("xoxe.", Tail::Base64, 10),
    prefix("xapp-", Tail::Word, 10),
    // Models
    prefix("sk-", Tail::Word, 20),
    prefix("hf_", Tail::Word, 30),
    prefix("r8_", Tail::Word, 30),
    prefix("gsk_", Tail::Word, 30),
    prefix("xai-", Tail::Word, 30),
    prefix("pplx-", Tail::Word, 30),
    // Payments and shops
    prefix("sk_live_", Tail::Word, 10),
    prefix("sk_test_", Tail::Word, 10),
    prefix("rk_live_", Tail::Word, 10),
    prefix("rk_test_", Tail::Word, 10),
    prefix("whsec_", Tail::Base64, 16),
    prefix("shpat_", Tail::Hex, 20),
    prefix("shpss_", Tail::Hex, 20),
    prefix("shpca_", Tail::Hex, 20),
    prefix("shppa_", Tail::Hex, 20),
    prefix("sq0atp-", Tail::Word, 20),
    prefix("sq0csp-", Tail::Word, 20),
    // Packages and builds
    prefix("npm_", Tail::Word, 30),
    prefix("pypi-AgE", Tail::Word, 40),
    prefix("rubygems_", Tail::Hex, 40),
    prefix("dckr_pat_", Tail::Word, 20),
    prefix("dckr_oat_", Tail::Word, 20),
    prefix("pul-", Tail::Hex, 40),
    // Data, clouds and watching
    prefix("dapi", Tail::Hex, 32),
    prefix("dop_v1_", Tail::Hex, 40),
    prefix("doo_v1_", Tail::Hex, 40),
    prefix("NRAK-", Tail::Word, 20),
    prefix("glc_", Tail::Base64, 20),
    prefix("glsa_", Tail::Word, 20),
    prefix("sntrys_", Tail::Base64, 20),
    prefix("sntryu_", Tail::Hex, 40),
    prefix("hvs.", Tail::Word, 20),
    prefix("hvb.", Tail::Word, 20),
    prefix("dp.pt.", Tail::Word, 20),
    prefix("tskey-", Tail::Word, 16),
    // Mail, notes, keys
    prefix("SG.", Tail::Base64, 40),
    prefix("key-", Tail::Hex, 32),
    prefix("PMAK-", Tail::Word, 20),
    prefix("ATATT3", Tail::Base64, 40),
    prefix("AGE-SECRET-KEY-1", Tail::Capitals, 50),
];

impl Prefix {
    /// The secret that begins at `start`, if one does.
    pub(super) fn at(&self, text: &str, start: usize) -> Option<Range<usize>> {
        let rest = text[start..].strip_prefix(self.begins)?;
        if text[..start].ends_with(|letter: char| letter.is_ascii_alphanumeric()) {
            return None;
        }
        let long = rest.bytes().take_while(|byte| self.tail.has(*byte)).count();
        let tail = &rest[..long];
        // Words with hyphens are long too, but have no digits.
        let enough = long >= self.least && tail.bytes().any(|byte| byte.is_ascii_digit());
        enough.then(|| start..start + self.begins.len() + long)
    }
}

impl Tail {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Base64 => is_base64(byte),
            Self::Capitals => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
        }
    }
}

/// What tokens are made of (RFC 9110, `token68`), and `%` for those in URLs.
fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'/' | b'=' | b'~' | b'%')
}

/// A JSON web token, or a key of Grafana's, that begins at `start`.
pub(super) fn json_token(text: &str, start: usize) -> Option<Range<usize>> {
    let rest = &text[start..];
    if !rest.starts_with("eyJ") || text[..start].ends_with(|letter: char| letter.is_ascii_alphanumeric()) {
        return None;
    }
    let long = rest.bytes().take_while(|byte| is_base64(*byte)).count();
    let (head, more) = rest[..long].split_once('.').unwrap_or((&rest[..long], ""));
    let is = (head.len() >= 8 && more.len() >= 8) || (head.starts_with("eyJrIjoi") && head.len() >= 40);
    is.then(|| start..start + long)
}

/// What follows `Bearer ` or `Basic ` up to `start`, if it looks like a secret and not like a word.
pub(super) fn after_scheme(text: &str, start: usize) -> Option<Range<usize>> {
    let rest = &text[start..];
    let blanks = rest.len() - rest.trim_start_matches(' ').len();
    let token = &rest[blanks..];
    let long = token.bytes().take_while(|byte| is_base64(*byte)).count();
    let token = &token[..long];
    let inner = token.get(1..).unwrap_or_default();
    let odd = |byte: u8| !byte.is_ascii_lowercase() && !matches!(byte, b'.' | b'-' | b'/');
    let is = long >= 6 && inner.bytes().any(odd) || long >= 24;
    is.then(|| start + blanks..start + blanks + long)
}

/// The private key whose `-----BEGIN` is at `start`, to its end or that of the text.
pub(super) fn private_key(text: &str, start: usize) -> Option<Range<usize>> {
    const END: &str = "-----END";
    let block = &text[start..];
    let label = block.get("-----BEGIN".len()..)?;
    let label = &label[..label.find("-----")?];
    if !label.to_ascii_uppercase().contains("PRIVATE KEY") {
        return None;
    }
    let end = block.find(END).and_then(|end| {
        let line = &block[end + END.len()..];
        Some(end + END.len() + line.find("-----")? + "-----".len())
    });
    Some(start..end.map_or(text.len(), |end| start + end))
}

/// What a web hook's address keeps secret: everything behind `start`.
pub(super) fn path(text: &str, start: usize) -> Option<Range<usize>> {
    let long = text[start..].bytes().take_while(|byte| is_base64(*byte) || *byte == b':').count();
    (long >= 8).then(|| start..start + long)
}
