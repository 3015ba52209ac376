//! A PostgreSQL server to throw away: a cluster of its own below a temporary directory, reached over
//! a Unix socket in it and over nothing else, durable as one that a bank runs, and gone when it is
//! dropped. It can be killed at any instant and started again on what it left.
//!
//! PostgreSQL refuses to run as root, so where the judge is root the server is another user's.

use crate::process::{START_DEADLINE, pause, tail};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

/// Where to look for the server's programs first.
const BINARIES: &str = "HUNDI_POSTGRES_BIN";
/// Where Debian has them, by version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Both are needed: development packages bring neither, whatever `pg_config` says.
const PROGRAMS: [&str; 2] = ["initdb", "postgres"];
/// Who runs the server where the judge is root, the better one first: the server looks its user up.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// The cluster's only user.
const USER: &str = "hundi";
/// The database that every new cluster has.
const DATABASE: &str = "postgres";
/// The socket's name, by the port that the server does not listen on.
const SOCKET: &str = ".s.PGSQL.5432";
/// Bytes that the path of a socket may have.
const SOCKET_PATH_MAX: usize = 107;
/// The line of `postmaster.pid` that says how far the server is.
const STATUS_LINE: usize = 7;
/// How long a server may take to give up its work when it is dropped.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// A server that runs, unless it was killed.
#[derive(Debug)]
pub struct Server {
    postmaster: Child,
    postgres: PathBuf,
    user: Option<User>,
    // Last, so that it is removed when nothing runs in it any more.
    dir: TempDir,
}

/// Somebody who is not root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
}

impl Server {
    /// Makes a cluster in a new directory, below `dir` or else where temporary files are, and starts
    /// a server on it.
    ///
    /// # Errors
    /// When the machine lacks PostgreSQL (the error names the package), or the server's user cannot
    /// use the directory.
    pub fn start(dir: Option<&Path>) -> Result<Self> {
        let binaries = find_binaries(std::env::var_os(BINARIES).as_deref())?;
        let user = unprivileged()?;
        let mut builder = tempfile::Builder::new();
        // Whoever may open the socket is the cluster's superuser.
        let builder = builder.prefix("hundi-pg-").permissions(Permissions::from_mode(0o700));
        let within = dir.map_or_else(std::env::temp_dir, Path::to_path_buf).canonicalize();
        let made = within.and_then(|within| builder.tempdir_in(within));
        let dir = made.context("cannot make a directory for PostgreSQL")?;
        let socket = dir.path().join(SOCKET);
        ensure!(
            socket.as_os_str().len() <= SOCKET_PATH_MAX,
            "{} is too long for a socket: name a directory nearer to the root",
            socket.display()
        );
        if let Some(User { uid, gid }) = user {
            chown(dir.path(), Some(uid), Some(gid)).context("cannot give a directory away")?;
            check_open(dir.path())?;
        }
        let mut initdb = command(&binaries.join("initdb"), user, dir.path())?;
        initdb.args(["-D", "data", "-A", "trust", "-U", USER, "--no-locale", "-E", "UTF8", "-N"]);
        let status = initdb.status().context("cannot start initdb")?;
        ensure!(status.success(), "initdb failed: {}", tail(&log(dir.path())));
        let postgres = binaries.join("postgres");
        let postmaster = spawn(&postgres, user, dir.path())?;
        let mut server = Self { postmaster, postgres, user, dir };
        if !server.wait_until_ready()? {
            bail!("PostgreSQL does not start: {}", tail(&log(server.dir.path())));
        }
        Ok(server)
    }

    /// Where its socket is.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The process id of the process that has started all others of the server.
    pub fn pid(&self) -> u32 {
        self.postmaster.id()
    }

    /// How to reach it.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(self.dir()).user(USER).dbname(DATABASE);
        config
    }

    /// A connection, served on the runtime of whoever asks until its client is dropped.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn connect(&self) -> Result<Client> {
        let connected = self.config().connect(NoTls).await;
        let (client, connection) = connected.context("cannot connect to PostgreSQL")?;
        // How it ends, its client is told with whatever it asks next.
        tokio::spawn(connection);
        Ok(client)
    }

    /// Kills it with SIGKILL, as the kernel does when memory is short. Its other processes notice
    /// and end a moment later.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.postmaster.kill().context("cannot kill PostgreSQL")?;
        self.postmaster.wait().context("cannot wait for PostgreSQL")?;
        Ok(())
    }

    /// Starts it again on what it left, and waits until it has recovered.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            self.postmaster = spawn(&self.postgres, self.user, self.dir.path())?;
            if self.wait_until_ready()? {
                return Ok(());
            }
            // It refuses while a process of the one that was killed still lives.
            if Instant::now() > deadline {
                bail!("PostgreSQL does not start again: {}", tail(&log(self.dir.path())));
            }
            pause()?;
        }
    }

    /// Whether it came so far as to answer; it has ended otherwise.
    fn wait_until_ready(&mut self) -> Result<bool> {
        let deadline = Instant::now() + START_DEADLINE;
        while !is_ready(&self.dir.path().join("data/postmaster.pid"), self.pid()) {
            if self.postmaster.try_wait()?.is_some() {
                return Ok(false);
            }
            if Instant::now() > deadline {
                bail!("PostgreSQL does not answer: {}", tail(&log(self.dir.path())));
            }
            pause()?;
        }
        Ok(true)
    }

    /// Has it drop everything and end with all its processes; nobody needs its files any more.
    fn stop(&mut self) -> Result<()> {
        if self.postmaster.try_wait()?.is_some() {
            return Ok(());
        }
        kill_process(Pid::from_child(&self.postmaster), Signal::QUIT)?;
        let deadline = Instant::now() + STOP_DEADLINE;
        while Instant::now() < deadline {
            if self.postmaster.try_wait()?.is_some() {
                return Ok(());
            }
            // Also when a person has interrupted: it is what that waits for.
            std::thread::sleep(crate::process::LOOK_EVERY);
        }
        self.kill()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is gone already otherwise.
        drop(self.stop());
    }
}

/// Whether the server with that process id says that it answers. The file that a killed one left
/// behind names another.
fn is_ready(file: &Path, pid: u32) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(STATUS_LINE - 1) == Some("ready")
}

fn spawn(postgres: &Path, user: Option<User>, dir: &Path) -> Result<Child> {
    let mut command = command(postgres, user, dir)?;
    command.arg("-D").arg("data").arg("-k").arg(dir);
    command.args(["-c", "listen_addresses=", "-c", "fsync=on"]);
    // In the cluster's directory instead of the machine's, so that it goes with it.
    command.args(["-c", "dynamic_shared_memory_type=mmap"]);
    command.spawn().context("cannot start PostgreSQL")
}

/// A program of the server's, run by its user in its directory, with its messages in the log.
fn command(program: &Path, user: Option<User>, dir: &Path) -> Result<Command> {
    let open = OpenOptions::new().create(true).append(true).open(log(dir));
    let output: File = open.context("cannot write PostgreSQL's log")?;
    let errors = output.try_clone().context("cannot write PostgreSQL's log")?;
    let mut command = Command::new(program);
    // None of its settings come from who runs the judge, and neither does an interrupt.
    command.env_clear().current_dir(dir).process_group(0);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

fn log(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// The directory of the server's programs: the one that is named, or else the one that `pg_config`
/// says, or else Debian's newest.
fn find_binaries(named: Option<&OsStr>) -> Result<PathBuf> {
    let all = |dir: &PathBuf| PROGRAMS.iter().all(|program| dir.join(program).is_file());
    let found = match named {
        Some(dir) => Some(PathBuf::from(dir)).filter(all),
        None => configured().filter(all).or_else(|| debian().into_iter().find(all)),
    };
    found.with_context(|| {
        format!(
            "there is no PostgreSQL server here: install it (Debian's package is `postgresql`), or \
             name the directory of its `initdb` and `postgres` in {BINARIES}"
        )
    })
}

fn configured() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// What Debian has installed, the newest version first.
fn debian() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    dirs.sort_unstable_by_key(|path| std::cmp::Reverse(version(path)));
    dirs.into_iter().map(|path| path.join("bin")).collect()
}

/// Whom the server runs as; nobody else where the judge is not root.
fn unprivileged() -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").context("cannot read who is who")?;
    let found = USERS.iter().find_map(|name| user_named(&users, name));
    found.map(Some).context("PostgreSQL does not run as root, and there is no user `nobody`")
}

fn user_named(users: &str, name: &str) -> Option<User> {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let user =
        users.lines().map(fields).find(|fields| fields.first().is_some_and(|it| it == name))?;
    Some(User { uid: user.get(2)?.parse().ok()?, gid: user.get(3)?.parse().ok()? })
}

/// That everybody may pass through the directories above this one.
fn check_open(dir: &Path) -> Result<()> {
    for above in dir.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        let mode = above.metadata().with_context(|| format!("{}", above.display()))?.mode();
        ensure!(
            mode & 0o001 != 0,
            "PostgreSQL does not run as root, and nobody else may pass through {}: choose another \
             directory, or `chmod o+x` it",
            above.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users = "root:x:0:0::/root:/bin/sh\nnobody2:x:7:7::/:\nnobody:x:65534:65533::/:\n";
        assert_eq!(user_named(users, "nobody"), Some(User { uid: 65_534, gid: 65_533 }));
        assert_eq!(user_named(users, "postgres"), None);
    }

    #[test]
    fn who_lacks_it_is_told_what_to_install() {
        let empty = tempfile::tempdir().unwrap();
        let error = find_binaries(Some(empty.path().as_os_str())).unwrap_err().to_string();
        assert!(error.contains("`postgresql`") && error.contains(BINARIES), "{error}");
    }

    #[test]
    fn the_file_of_a_killed_server_says_nothing_about_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("postmaster.pid");
        let write = |status| std::fs::write(&file, format!("12\na\nb\nc\nd\ne\nf\n{status} \n"));
        write("starting").unwrap();
        assert!(!is_ready(&file, 12));
        write("ready").unwrap();
        assert!(is_ready(&file, 12) && !is_ready(&file, 1));
        assert!(!is_ready(&dir.path().join("none"), 12));
    }
}
