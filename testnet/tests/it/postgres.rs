//! The PostgreSQL server to throw away, and the bench's baseline on it. These need PostgreSQL; the
//! test command leaves this module out where there is none.

use hundi_testnet::postgres::Server;
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap().block_on(work)
}

fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[test]
fn a_server_is_durable_reached_by_its_socket_only_and_gone_when_dropped() {
    let server = Server::start(None).unwrap();
    let (dir, pid) = (server.dir().to_owned(), server.pid());
    let backend = block_on(async {
        let client = server.connect().await.unwrap();
        for (setting, value) in
            [("fsync", "on"), ("synchronous_commit", "on"), ("listen_addresses", "")]
        {
            let row = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
            assert_eq!(row.get::<_, &str>(0), value, "{setting}");
        }
        let row = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
        row.get::<_, i32>(0).cast_unsigned()
    });
    let process = std::fs::metadata(Path::new("/proc").join(pid.to_string())).unwrap();
    assert_ne!(process.uid(), 0);
    assert_eq!(std::fs::metadata(&dir).unwrap().mode() & 0o077, 0);
    drop(server);
    assert!(!is_alive(pid) && !is_alive(backend) && !dir.exists());
}

#[test]
fn what_was_committed_is_there_after_a_kill_and_nothing_else() {
    const ROWS: i64 = 100;
    const INSERT: &str = "INSERT INTO kept SELECT generate_series(1, 100)";
    let mut server = Server::start(None).unwrap();
    for kills in 0..3 {
        block_on(async {
            let client = server.connect().await.unwrap();
            client.batch_execute("CREATE TABLE IF NOT EXISTS kept (n INT)").await.unwrap();
            let row = client.query_one("SELECT count(*) FROM kept", &[]).await.unwrap();
            assert_eq!(row.get::<_, i64>(0), kills * ROWS);
            client.batch_execute(INSERT).await.unwrap();
            // Killed in the middle of a unit of work, with the connection open.
            client.batch_execute("BEGIN").await.unwrap();
            client.batch_execute(INSERT).await.unwrap();
            server.kill().unwrap();
        });
        server.start_again().unwrap();
    }
}

#[test]
fn the_baseline_of_the_bench_has_its_figures() {
    let dir = tempfile::tempdir().unwrap();
    // The server is another user's.
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hundi-testnet"));
    command.args(["bench", "settle", "--json", "--quick", "--only", "postgres", "--dir"]);
    let output = command.arg(dir.path()).output().unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).expect(&progress);
    assert_eq!((output.status.code(), &report["ok"]), (Some(0), &true.into()), "{report}");
    let postgres = &report["postgres"];
    assert_eq!(postgres["findings"], Value::Array(Vec::new()));
    assert_eq!(postgres["handwritten_payments"], report["entries"]);
    let number = |of: &Value| of.as_u64().unwrap();
    let mut fastest = 0;
    let tried = postgres["handwritten"].as_array().unwrap();
    for (connections, tried) in [1, 2, 4].iter().zip(tried) {
        assert_eq!(tried["connections"], *connections);
        let mut runs: Vec<u64> =
            tried["runs_per_s"].as_array().unwrap().iter().map(number).collect();
        runs.sort_unstable();
        assert_eq!((runs.len(), runs[1]), (3, number(&tried["per_s"])), "{tried}");
        assert!(runs[0] > 0);
        fastest = fastest.max(runs[1]);
    }
    assert_eq!((tried.len(), number(&postgres["handwritten_per_s"])), (3, fastest));
    // Nothing of it is left, and nothing else was measured.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(report.get("ceiling").is_none() && report.get("embedded").is_none());
}
