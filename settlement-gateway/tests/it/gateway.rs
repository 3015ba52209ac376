//! A gateway that runs in the test's own process.

use crate::client::Api;
use crate::device::Device;
use hundi_gateway::app::{self, Application};
use hundi_gateway::config::Config;
use hundi_gateway::keys::{self, Membership};
use hundi_ledger::id::BankNumber;
use hundi_node::home::Home;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running gateway.
pub struct Running {
    pub api: Api,
    pub address: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

pub fn init(dir: &Path) -> Home {
    let home = Home::create(dir).unwrap();
    let (network, bank) = ("test".to_owned(), "Sahakari".to_owned());
    keys::init(&home, BankNumber(1), Membership::New { network, bank, peers: Vec::new() }).unwrap();
    home
}

impl Running {
    pub async fn start(home: &Home) -> Self {
        let application = build(home).await;
        let address = application.address().to_string();
        let api = Api::new(format!("http://{address}"), application.token().to_owned());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async {
                stopped.await.unwrap();
            };
            application.run(stopped).await.unwrap();
        });
        Self { api, address, stop, task }
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    /// Runs blocking calls beside the gateway.
    pub async fn with<T: Send + 'static>(
        &self,
        calls: impl FnOnce(&Api) -> T + Send + 'static,
    ) -> T {
        let api = self.api.clone();
        tokio::task::spawn_blocking(move || calls(&api)).await.unwrap()
    }
}

/// Builds; the store of an earlier run in this process may be closing still.
async fn build(home: &Home) -> Application {
    loop {
        match app::build(Config::new(home.clone())).await {
            Ok(application) => return application,
            Err(error) if format!("{error}").contains("in use by process") => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A device with an account, funded and granted as stated, in minor units.
pub fn open(api: &Api, name: &str, seed: u8, fund: u64, limit: u64) -> (Device, String) {
    let status = api.read("/v1/status");
    let network = status["network"].as_str().unwrap().parse().unwrap();
    let sealing = status["sealing_key"].as_str().unwrap().parse().unwrap();
    let device = Device::new(network, sealing, seed);
    let opened = api.ok("/v1/accounts", &json!({ "name": name, "currency": "INR" }));
    let account = opened["account"].as_str().unwrap().to_owned();
    let path = format!("/v1/accounts/{account}/fund");
    let funded = api.ok(&path, &json!({ "amount_minor": fund }));
    assert_eq!(funded["balance_minor"], fund);
    let granted = api.ok(
        "/v1/grants",
        &json!({
            "account": account,
            "author": device.author.to_string(),
            "sealing_key": device.sealing.public().to_string(),
            "limit_minor": limit,
        }),
    );
    assert_eq!(granted["serial"], 1);
    (device, account)
}

pub fn balance(api: &Api, account: &str) -> u64 {
    api.read(&format!("/v1/accounts/{account}"))["balance_minor"].as_u64().unwrap()
}

/// The audit holds; returns the journal hash.
pub fn audited(api: &Api) -> String {
    let audit = api.read("/v1/audit");
    assert_eq!(audit["ok"], true, "{audit}");
    audit["head"].as_str().unwrap().to_owned()
}

/// Looks again and again until it holds; a minute without is a failure, not a verdict on speed.
pub fn until(api: &Api, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = api.read(path);
        if holds(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path}: {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
