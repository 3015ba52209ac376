//! The PostgreSQL server to throw away. These need PostgreSQL; the test command leaves this module
//! out where there is none.

use hundi_testnet::postgres::Server;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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
