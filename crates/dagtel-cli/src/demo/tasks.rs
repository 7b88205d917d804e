//! The demo's own DAG: the text files of a folder, packed, counted, checked and reported.
//!
//! Everything in it is done by the tools of any Unix system. The try that fails does so for a real reason: `check` looks
//! at an archive of which only half has arrived.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::corpus;
use super::dag::{Dag, Instance, Work};

/// Packers that run side by side.
const PACKERS: usize = 4;
/// The text is doubled until it has at least this size, so that there is something to do.
const TEXT_BYTES: u64 = 24 * 1024 * 1024;

const COLLECT: &str = r#"
while IFS= read -r file; do cat -- "$file"; done < files.txt > once.txt
cp once.txt text.txt
while [ "$(wc -c < text.txt)" -lt "$1" ]; do cat text.txt text.txt > twice.txt; mv twice.txt text.txt; done
split -n l/"$2" -d -a 1 text.txt part.
wc -c text.txt
"#;
const PACK: &str = r#"gzip -9 -c "part.$1" > "part.$1.gz" && ls -l "part.$1.gz""#;
const COUNT: &str = "wc text.txt > count.txt && cat count.txt";
const TOP_WORDS: &str = r#"
tr -cs 'A-Za-z_' '\n' < once.txt | LC_ALL=C sort | uniq -c | LC_ALL=C sort -rn | head -n 20 > words.txt
test -s words.txt
"#;
const CHECK: &str = r#"
if [ ! -e arrived.gz ]; then
    size=$(wc -c < part.0.gz)
    head -c $((size / 2)) part.0.gz > arrived.gz
else
    cp part.0.gz arrived.gz
fi
gzip -t arrived.gz
"#;
const REPORT: &str =
    "cat count.txt words.txt > report.txt && cksum part.*.gz arrived.gz >> report.txt && wc report.txt";

/// The DAG over the text files of `dir`, working in the folder `work`.
///
/// # Errors
/// When there are no files, or `work` cannot be written to.
pub(super) fn dag(dir: &Path, work: &Path) -> anyhow::Result<Dag> {
    let mut list = fs::File::create(work.join("files.txt"))?;
    for file in corpus::files(dir)? {
        writeln!(list, "{}", file.display())?;
    }
    let shell = |task_id, upstream, script, arguments: &[String]| Instance {
        task_id,
        map_index: None,
        upstream,
        tries: 1,
        work: Work::Shell { script, arguments: arguments.to_vec(), folder: work.to_owned() },
    };
    let mut instances = vec![shell("collect", &[], COLLECT, &[TEXT_BYTES.to_string(), PACKERS.to_string()])];
    for index in 0..PACKERS {
        let pack = shell("pack", &["collect"], PACK, &[index.to_string()]);
        instances.push(Instance { map_index: i32::try_from(index).ok(), ..pack });
    }
    instances.push(shell("count", &["collect"], COUNT, &[]));
    instances.push(shell("top_words", &["collect"], TOP_WORDS, &[]));
    instances.push(Instance { tries: 2, ..shell("check", &["pack"], CHECK, &[]) });
    instances.push(shell("report", &["pack", "count", "top_words", "check"], REPORT, &[]));
    instances.push(Instance {
        work: Work::SkipUnless { variable: "DAGTEL_DEMO_PUBLISH_TO" },
        ..shell("publish", &["report"], "", &[])
    });
    let announce = r#"test -s report.txt && echo "announced""#;
    instances.push(shell("announce", &["publish"], announce, &[]));
    Ok(Dag { instances })
}
