//! Why a process died, in a real group with a limit.

mod support;

use std::process::ExitStatus;

use dagtel_proc::{Cgroup, Death, Usage, wait};
use support::{MB, Player, group, playing};

#[test]
fn player() {
    support::play();
}

fn text(status: ExitStatus, kills: Option<u64>) -> Option<String> {
    Death::judge(status, kills).map(|death| death.to_string())
}

/// Plays a script to its end in the group.
fn end(script: &str, group: &Cgroup) -> ExitStatus {
    let mut play = Player::run(&mut playing(script), Some(group));
    wait(play.take()).expect("ended").0
}

#[test]
fn the_kernel_kills_for_memory_and_a_hand_does_not() {
    let Some(limited) = group("oom", Some(64 * MB)) else { return };

    assert_eq!(text(end("alloc 30", &limited), limited.oom_kills()), None);
    assert_eq!(limited.oom_kills(), Some(0));

    let status = end("alloc 200", &limited);
    println!("over the limit: {status}, {:?} kills for want of memory", limited.oom_kills());
    assert_eq!(text(status, limited.oom_kills()).as_deref(), Some("oom_killed"));
    let mut usage = Usage::default();
    usage.add_cgroup(&limited);
    assert!(usage.oom_kills >= Some(1));
    let peak = usage.peaks.best().expect("a peak").1;
    assert!((60 * MB..=64 * MB).contains(&peak), "{peak} is not just below the limit");

    // A next task in the same group, which has had a kill by then.
    let mut play = Player::run(&mut playing("alloc 30; say at; line"), Some(&limited));
    play.until("at");
    let since = Cgroup::of(play.id()).unwrap();
    assert_eq!(since.path(), limited.path());
    let mut child = play.take();
    child.kill().unwrap();
    let status = wait(child).unwrap().0;
    println!("by hand in the same group: {status}, {:?} kills since", since.oom_kills());
    assert_eq!(text(status, since.oom_kills()).as_deref(), Some("signal:SIGKILL"));

    let place = limited.path().to_owned();
    limited.remove().unwrap();
    assert!(!place.exists());
}

#[test]
fn a_child_killed_for_memory_is_counted_where_the_root_lives_on() {
    let Some(limited) = group("oom", Some(64 * MB)) else { return };
    let status = end("spawn(alloc 200); await", &limited);
    assert_eq!((text(status, limited.oom_kills()), limited.oom_kills()), (None, Some(1)));
}

#[test]
fn a_shell_passes_the_kill_of_its_command_on() {
    let Some(limited) = group("oom", Some(64 * MB)) else { return };
    let command = playing("alloc 200");
    let program = command.get_program().to_owned();
    let mut shell = std::process::Command::new("sh");
    // The shell does not become the command, because something follows.
    shell.args(["-c", "\"$0\" \"$@\"; exit $?"]).arg(program).args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut play = Player::run(&mut shell, Some(&limited));
    let status = wait(play.take()).unwrap().0;
    assert_eq!(status.code(), Some(137));
    assert_eq!(text(status, limited.oom_kills()).as_deref(), Some("oom_killed"));
}

#[test]
fn what_outlives_the_task_is_moved_home() {
    let Some(own) = group("home", None) else { return };
    let mut play = Player::run(&mut playing("say at; line"), Some(&own));
    play.until("at");
    assert_eq!(own.processes().unwrap(), [play.id()]);
    let place = own.path().to_owned();
    drop(own);
    assert!(!place.exists());
    let here = Cgroup::of(std::process::id()).unwrap();
    assert_eq!(Cgroup::of(play.id()).unwrap().path(), here.path());
}
