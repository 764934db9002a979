//! Our host with our plugins, good and bad.

use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use go_plugin::host::{Executable, Limit, Resource, StartFailure, Tls, remove_abandoned, start};
use go_plugin::log::Level;
use go_plugin::{Error, handshake};
use rustix::fs::{MemfdFlags, SealFlags};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tonic::Code;
use tonic::service::Routes;

use crate::peer::{PeerService, call_back, echo, inspect, print};
use crate::roles::agreed_tls;
use crate::scene::{Place, command, ear, ended, exists, until};
use crate::{Case, case};

pub const CASES: &[Case] = &[
    case!(a_good_plugin_answers_calls_back_and_prints),
    case!(a_stop_is_obeyed_and_nothing_is_left),
    case!(a_plugin_may_be_spoken_to_without_tls),
    case!(tls_agreed_upon_elsewhere_works_in_both_directions),
    case!(tls_on_one_side_only_is_refused),
    case!(what_runs_is_the_sealed_file_that_was_checked),
    case!(a_child_gets_no_more_than_it_was_given),
    case!(a_dropped_client_kills_its_process),
    case!(a_dropped_start_kills_its_process),
    case!(a_crash_ends_calls_and_is_reported_with_the_last_words),
    case!(calls_to_a_dead_process_fail_at_once),
    case!(a_plugin_that_does_not_stop_is_killed_with_its_children),
    case!(a_plugin_that_prints_first_is_refused_with_what_it_printed),
    case!(a_plugin_that_exits_at_once_is_reported_with_status_and_stderr),
    case!(a_plugin_that_never_speaks_times_out),
    case!(a_plugin_that_closes_its_stdout_is_refused),
    case!(a_plugin_of_another_version_is_refused),
    case!(a_plugin_whose_cookie_differs_says_so_and_exits),
    case!(a_plugin_without_a_certificate_is_refused_if_tls_was_asked_for),
    case!(an_address_that_leads_nowhere_is_refused),
    case!(a_flood_on_stderr_delays_nothing),
    case!(a_flood_without_a_handshake_times_out),
    case!(a_program_that_does_not_exist_is_named_as_such),
    case!(a_socket_folder_too_deep_is_refused_before_the_start),
    case!(a_killed_host_leaves_no_process_and_its_folder_is_swept_up),
    case!(a_plugin_of_a_host_that_asks_for_no_signal_ends_with_it_too),
    case!(many_start_at_once_and_each_has_its_own_folder),
    case!(twenty_starts_and_stops_leave_nothing),
];

async fn a_good_plugin_answers_calls_back_and_prints() {
    let place = Place::new();
    let ear = ear();
    let mut command = command("good", &place);
    command.observer = ear.clone();
    let client = start(command).await.unwrap();
    assert_eq!(client.version(), 5);

    let big = "x".repeat(9 << 20);
    for text in ["", "hello", &big] {
        assert_eq!(echo(client.channel(), text).await.unwrap(), text);
    }
    let served = client.broker().accept(|_| Routes::default().add_service(PeerService(None)));
    let served = served.await.unwrap();
    assert_eq!(call_back(client.channel(), served.id).await.unwrap(), "called back");

    print(client.channel(), "printed").await.unwrap();
    until("the output arrives", || *ear.printed.lock().unwrap() == b"printed").await;
    let heard = || {
        let lines = ear.lines.lock().unwrap();
        lines.iter().any(|line| line.level == Level::Info && line.fields["length"] == 5)
    };
    until("the log arrives", heard).await;
    client.stop().await;
}

async fn a_stop_is_obeyed_and_nothing_is_left() {
    let place = Place::new();
    let client = start(command("good", &place)).await.unwrap();
    let pid = client.pid().to_string();
    assert!(exists(&pid) && !place.is_empty());
    let (exit, again) = tokio::join!(client.stop(), client.stop());
    assert_eq!(exit.status.unwrap().code(), Some(0), "{exit:?}");
    assert_eq!(again.status, exit.status);
    assert!(place.is_empty() && !exists(&pid));
}

async fn a_plugin_may_be_spoken_to_without_tls() {
    let place = Place::new();
    let mut command = command("good", &place);
    command.tls = Tls::Plain;
    let client = start(command).await.unwrap();
    assert_eq!(echo(client.channel(), "open").await.unwrap(), "open");
    let served = client.broker().accept(|_| Routes::default().add_service(PeerService(None)));
    let id = served.await.unwrap().id;
    // Dropped at once: the announcement leads to nothing.
    assert!(call_back(client.channel(), id).await.is_err());
    client.stop().await;
}

async fn tls_agreed_upon_elsewhere_works_in_both_directions() {
    let place = Place::new();
    let mut command = command("agreed", &place);
    command.tls = Tls::Given(agreed_tls().unwrap());
    let client = start(command).await.unwrap();
    let served = client.broker().accept(|_| Routes::default().add_service(PeerService(None)));
    let served = served.await.unwrap();
    assert_eq!(call_back(client.channel(), served.id).await.unwrap(), "called back");
    client.stop().await;
}

async fn tls_on_one_side_only_is_refused() {
    let place = Place::new();
    for (role, tls) in [("agreed", Tls::Plain), ("good", Tls::Given(agreed_tls().unwrap()))] {
        let mut command = command(role, &place);
        command.tls = tls;
        let Err(Error::Start(error)) = start(command).await else { panic!("{role} started") };
        assert!(
            matches!(error.failure, StartFailure::Silent(_) | StartFailure::Connect(_)),
            "{error}"
        );
        assert!(place.is_empty());
    }
}

async fn what_runs_is_the_sealed_file_that_was_checked() {
    let place = Place::new();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file: OwnedFd = rustix::fs::memfd_create("plugin", flags).unwrap();
    let mut source = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    std::io::copy(&mut source, &mut std::fs::File::from(file.try_clone().unwrap())).unwrap();
    let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, all).unwrap();

    let mut command = command("good", &place);
    command.executable = Executable::Descriptor { file, name: "sealed".into() };
    let client = start(command).await.unwrap();
    let runs = std::fs::read_link(format!("/proc/{}/exe", client.pid())).unwrap();
    assert!(runs.to_string_lossy().contains("memfd:plugin"), "{runs:?}");
    assert_eq!(echo(client.channel(), "sealed").await.unwrap(), "sealed");
    client.stop().await;
}

async fn a_child_gets_no_more_than_it_was_given() {
    let place = Place::new();
    // A descriptor that foreign code left open for everyone.
    let careless = std::fs::File::open("/etc/hostname").unwrap();
    rustix::io::fcntl_setfd(&careless, rustix::io::FdFlags::empty()).unwrap();
    let mut command = command("good", &place);
    command.env = vec![("MINE".into(), "1".into()), ("MINE".into(), "2".into())];
    command.limits = vec![Limit { resource: Resource::Nofile, most: 123 }];
    let client = start(command).await.unwrap();

    let look = |what: &'static str| inspect(client.channel(), what);
    assert_eq!(
        look("environment").await.unwrap(),
        "GO_PLUGIN_PEER,MINE,PLUGIN_CLIENT_CERT,PLUGIN_MAX_PORT,PLUGIN_MIN_PORT,\
         PLUGIN_PROTOCOL_VERSIONS,PLUGIN_UNIX_SOCKET_DIR,TMPDIR"
    );
    let status = look("status").await.unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let limits = look("limits").await.unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert!(files.split_whitespace().filter(|word| *word == "123").count() == 2, "{files}");
    let files = look("files").await.unwrap();
    assert!(!files.contains("/etc/hostname"), "{files}");
    assert!(files.contains("/dev/null"), "stdin: {files}");
    let group = rustix::process::getpgid(rustix::process::Pid::from_raw(client.pid() as i32));
    assert_eq!(group.unwrap().as_raw_nonzero().get() as u32, client.pid());
    assert_eq!(policy(client.pid()), policy_of_a_child(policy(std::process::id())));
    client.stop().await;
}

/// How the kernel schedules a process: the 41st field of its `stat`, of which the second is a name in
/// parentheses.
fn policy(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    after_name.split_whitespace().nth(38).unwrap().parse().unwrap()
}

/// The usual policy (`SCHED_OTHER`) becomes `SCHED_BATCH`; another one stays.
fn policy_of_a_child(ours: u32) -> u32 {
    if ours == 0 { 3 } else { ours }
}

async fn a_dropped_client_kills_its_process() {
    let place = Place::new();
    let client = start(command("good", &place)).await.unwrap();
    let ended = client.exited();
    drop(client);
    let exit = ended.await;
    assert!(exit.status.unwrap().code().is_none(), "killed by a signal");
    assert!(place.is_empty());
}

async fn a_dropped_start_kills_its_process() {
    let place = Place::new();
    let starting = tokio::spawn(start(command("nothing", &place)));
    until("the process has its folder", || !place.is_empty()).await;
    starting.abort();
    until("the folder is gone", || place.is_empty()).await;
}

async fn a_crash_ends_calls_and_is_reported_with_the_last_words() {
    let place = Place::new();
    let client = start(command("good", &place)).await.unwrap();
    let grandchild = inspect(client.channel(), "fork").await.unwrap();
    let hanging = tokio::spawn({
        let channel = client.channel();
        async move { inspect(channel, "hang").await }
    });
    let crashed = inspect(client.channel(), "crash").await.unwrap_err();
    assert_eq!(crashed.code(), Code::Unavailable, "{crashed:?}");
    assert_eq!(hanging.await.unwrap().unwrap_err().code(), Code::Unavailable);
    let exit = client.exited().await;
    assert!(exit.stderr.iter().any(|line| line == "panic: as I was told to"), "{exit:?}");
    until("what it started is dead too", || ended(&grandchild)).await;
    assert!(client.broker().is_closed());
    assert!(place.is_empty());
}

async fn calls_to_a_dead_process_fail_at_once() {
    let place = Place::new();
    let client = start(command("good", &place)).await.unwrap();
    client.kill();
    client.exited().await;
    until("the connection is seen to be lost", || client.channel().is_closed()).await;
    let before = Instant::now();
    for _ in 0..100 {
        assert_eq!(echo(client.channel(), "x").await.unwrap_err().code(), Code::Unavailable);
    }
    assert!(before.elapsed() < Duration::from_secs(1));
    assert!(matches!(client.broker().dial(1).await, Err(Error::BrokerClosed)));
}

async fn a_plugin_that_does_not_stop_is_killed_with_its_children() {
    let place = Place::new();
    let client = start(command("deaf", &place)).await.unwrap();
    let grandchild = inspect(client.channel(), "fork").await.unwrap();
    assert!(exists(&grandchild));
    let before = Instant::now();
    let exit = client.stop().await;
    assert!(before.elapsed() >= Duration::from_secs(2));
    assert!(exit.status.unwrap().code().is_none(), "killed by a signal");
    until("the grandchild is dead", || ended(&grandchild)).await;
    assert!(place.is_empty());
}

/// Starts a role that must fail; the process and the folder are gone when this returns.
async fn refused(role: &str) -> Box<go_plugin::host::StartError> {
    let place = Place::new();
    let mut command = command(role, &place);
    if matches!(role, "nothing" | "flood") {
        command.start_timeout = Duration::from_millis(500);
    }
    let error = start(command).await.expect_err("must not start");
    assert!(place.is_empty(), "{role} left something");
    let Error::Start(error) = error else { panic!("{error}") };
    error
}

async fn a_plugin_that_prints_first_is_refused_with_what_it_printed() {
    let error = refused("garbage").await.to_string();
    let wanted = "Unrecognized remote plugin message: \"Starting up, please wait...\"";
    assert!(error.contains(wanted), "{error}");
}

async fn a_plugin_that_exits_at_once_is_reported_with_status_and_stderr() {
    let error = refused("exit").await;
    assert!(matches!(error.failure, StartFailure::Exited));
    assert_eq!(error.status.unwrap().code(), Some(3));
    let text = error.to_string();
    assert!(text.contains("plugin exited before we could connect"), "{text}");
    assert!(text.contains("exit status: 3"), "{text}");
    assert!(text.ends_with("last on its stderr: cannot find my configuration"), "{text}");
}

async fn a_plugin_that_never_speaks_times_out() {
    let error = refused("nothing").await;
    assert!(error.to_string().contains("timeout while waiting for plugin to start"), "{error}");
}

async fn a_plugin_that_closes_its_stdout_is_refused() {
    let place = Place::new();
    let error = start(command("mute", &place)).await.unwrap_err().to_string();
    assert!(error.contains("Failed to read any lines from plugin's stdout"), "{error}");
    assert!(place.is_empty());
}

async fn a_plugin_of_another_version_is_refused() {
    let error = refused("old").await.to_string();
    let wanted = "incompatible API version with plugin. Plugin version: 2, Client versions: [4 5]";
    assert!(error.contains(wanted), "{error}");
}

async fn a_plugin_whose_cookie_differs_says_so_and_exits() {
    let place = Place::new();
    let mut command = command("good", &place);
    command.cookie.value = "another".into();
    let Err(Error::Start(error)) = start(command).await else { panic!("started") };
    assert!(matches!(error.failure, StartFailure::Exited), "{error}");
    assert_eq!(error.status.unwrap().code(), Some(1));
    let wanted = "This binary is a plugin. These are not meant to be executed directly.";
    assert_eq!(error.stderr.first().map(String::as_str), Some(wanted));
}

async fn a_plugin_without_a_certificate_is_refused_if_tls_was_asked_for() {
    let error = refused("no-certificate").await;
    assert!(matches!(error.failure, StartFailure::NoCertificate), "{error}");
}

async fn an_address_that_leads_nowhere_is_refused() {
    let place = Place::new();
    let mut command = command("no-socket", &place);
    command.tls = Tls::Plain;
    let error = start(command).await.unwrap_err().to_string();
    assert!(error.contains("cannot connect to /nowhere/at/all"), "{error}");
    assert!(place.is_empty());
}

async fn a_flood_on_stderr_delays_nothing() {
    let place = Place::new();
    let client = start(command("flood-and-serve", &place)).await.unwrap();
    assert_eq!(echo(client.channel(), "still here").await.unwrap(), "still here");
    assert!(client.stderr().len() <= 50);
    client.stop().await;
    assert!(place.is_empty());
}

async fn a_flood_without_a_handshake_times_out() {
    let error = refused("flood").await;
    assert!(matches!(error.failure, StartFailure::Timeout(_)), "{error}");
    assert!(error.stderr.iter().all(|line| line.len() <= 2048));
}

async fn a_program_that_does_not_exist_is_named_as_such() {
    let place = Place::new();
    let mut command = command("good", &place);
    command.executable = Executable::Path("/nowhere/at/all".into());
    let error = start(command).await.unwrap_err().to_string();
    assert!(error.starts_with("plugin \"all\" did not start: the file, or"), "{error}");
    assert!(place.is_empty());
}

async fn a_socket_folder_too_deep_is_refused_before_the_start() {
    let place = Place::new();
    let mut command = command("good", &place);
    command.socket_parent = place.path().join("x".repeat(80));
    let error = start(command).await.unwrap_err().to_string();
    assert!(error.contains("the kernel's limit is 107"), "{error}");
}

async fn a_killed_host_leaves_no_process_and_its_folder_is_swept_up() {
    let place = Place::new();
    let (mut host, pid) = other_host("host", &place).await;
    let ours = start(command("good", &place)).await.unwrap();

    remove_abandoned(place.path()).unwrap();
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2, "both are in use");
    host.kill().await.unwrap();
    until("the plugin dies with its host", || ended(&pid)).await;
    remove_abandoned(place.path()).unwrap();
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "ours is in use");
    assert_eq!(echo(ours.channel(), "still here").await.unwrap(), "still here");
    ours.stop().await;
    assert!(place.is_empty());
}

/// Another process that starts a plugin at `place`, and the plugin's number.
async fn other_host(role: &str, place: &Place) -> (Child, String) {
    let mut host = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--role", role])
        .env("PLACE", place.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(host.stdout.take().unwrap()).lines();
    let pid = said.next_line().await.unwrap().unwrap();
    (host, pid)
}

async fn a_plugin_of_a_host_that_asks_for_no_signal_ends_with_it_too() {
    let place = Place::new();
    let (mut host, pid) = other_host("careless-host", &place).await;
    assert!(!ended(&pid) && !place.is_empty());
    host.kill().await.unwrap();
    until("the plugin ends with its host", || ended(&pid)).await;
    assert!(place.is_empty(), "a plugin that ends by itself takes its socket along");
}

async fn many_start_at_once_and_each_has_its_own_folder() {
    let place = Place::new();
    let starts = (0..8).map(|_| start(command("good", &place)));
    let clients = futures_util::future::try_join_all(starts).await.unwrap();
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), clients.len());
    let stops = clients.iter().map(|client| client.stop());
    futures_util::future::join_all(stops).await;
    assert!(place.is_empty());
}

async fn twenty_starts_and_stops_leave_nothing() {
    let place = Place::new();
    for _ in 0..20 {
        let client = start(command("good", &place)).await.unwrap();
        echo(client.channel(), handshake::ENV_VERSIONS).await.unwrap();
        client.stop().await;
    }
    assert!(place.is_empty());
}
