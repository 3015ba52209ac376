//! Asking for money, paying, returning, and looking at it.

use hundi_ledger::money::Currency;
use hundi_ledger::request::PaymentRequest;
use hundi_node::client::Client;
use hundi_node::command_line::{EXIT_REFUSED, Failure, Report};
use hundi_node::money::{self, ParseMoneyError};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long the payee's answer is waited for, unless somebody says otherwise or it is looked for.
const WAIT: Duration = Duration::from_secs(2);

/// How the hint of a payee begins that can be reached by Bluetooth.
const BLE_HINT: &str = "ble:";

/// What somebody asks for.
pub(super) struct Asked {
    pub(super) amount: String,
    pub(super) currency: Option<String>,
    pub(super) memo: String,
    pub(super) expires: Duration,
    pub(super) ble: bool,
}

pub(super) fn request(client: &Client, asked: &Asked, qr: bool) -> Result<Report, Failure> {
    let Asked { amount, currency, memo, expires, ble } = asked;
    let currency = match currency {
        Some(code) => money::parse_currency(code).map_err(Failure::usage)?,
        None => own_currency(client)?,
    };
    let minor = parse(amount, currency)?;
    let answer: Value = client.post(
        "/v1/requests",
        &json!({
            "amount_minor": minor,
            "currency": currency.code(),
            "memo": memo,
            "expires_s": expires.as_secs(),
            "ble": ble,
        }),
    )?;
    let uri = text(&answer, "uri");
    let mut shown = String::new();
    if qr {
        shown.push_str(&draw(uri)?);
        shown.push('\n');
    }
    let until = humantime::format_duration(*expires);
    shown.push_str(&format!("{} for {until}\n{uri}\n", money::show(minor, currency)));
    Ok(Report::new(shown, answer))
}

/// A QR code of two modules to a character, dark on light whatever the terminal's colours.
fn draw(uri: &str) -> Result<String, Failure> {
    let code = qrcode::QrCode::with_error_correction_level(uri, qrcode::EcLevel::L);
    let code = code.map_err(|error| Failure::usage(anyhow::anyhow!("no QR code: {error}")))?;
    let picture = code
        .render::<qrcode::render::unicode::Dense1x2>()
        .dark_color(qrcode::render::unicode::Dense1x2::Light)
        .light_color(qrcode::render::unicode::Dense1x2::Dark)
        .build();
    Ok(picture)
}

pub(super) fn pay(
    client: &Client,
    uri: &str,
    amount: Option<&str>,
    wait: Option<Duration>,
) -> Result<Report, Failure> {
    let request = PaymentRequest::parse(uri).map_err(Failure::usage)?;
    let typed = amount.map(|amount| parse(amount, request.currency)).transpose()?;
    let body = json!({ "uri": uri, "amount_minor": typed });
    let answer: Value = client.post("/v1/payments", &body)?;
    let id = text(&answer, "id").to_owned();
    let search = answer["search_s"].as_u64().map(Duration::from_secs);
    if search.is_some() {
        eprintln!("looking for the payee by Bluetooth…");
    }
    let wait = wait.or(search).unwrap_or(WAIT);
    let row = await_receipt(client, &id, wait)?;
    let minor = number(&row, "amount_minor");
    let state = text(&row, "state");
    let mut shown = format!("{}  {state}\n{id}\n", money::show(minor, request.currency));
    shown.push_str(match state {
        "signed" | "delivered" => {
            "Not confirmed: the payee has not answered. The promise stands and travels on; \
             pay the same request again to resume, never twice.\n"
        }
        "refused" => "The payee refused it, signed: nothing will be paid.\n",
        _ => "",
    });
    let nearby = request.hints.iter().any(|hint| hint.starts_with(BLE_HINT));
    if nearby && search.is_none() && matches!(state, "signed" | "delivered") {
        shown.push_str(
            "The payee can be reached by Bluetooth, which is not on here: start this device with \
             `run --ble`; if it is, `status` says what is missing.\n",
        );
    }
    let exit = if state == "refused" { EXIT_REFUSED } else { 0 };
    Ok(Report { exit, ..Report::new(shown, row) })
}

fn await_receipt(client: &Client, id: &str, wait: Duration) -> Result<Value, Failure> {
    let until = Instant::now() + wait;
    loop {
        let row: Value = client.get(&format!("/v1/payments/{id}"))?;
        let open = matches!(text(&row, "state"), "signed" | "delivered");
        if !open || Instant::now() >= until {
            return Ok(row);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(super) fn refund(
    client: &Client,
    payment: &str,
    amount: Option<&str>,
) -> Result<Report, Failure> {
    let original: Value = client.get(&format!("/v1/payments/{payment}"))?;
    let currency = currency_of(&original)?;
    let minor = amount.map(|amount| parse(amount, currency)).transpose()?;
    let body = json!({ "payment": payment, "amount_minor": minor });
    let answer: Value = client.post("/v1/refunds", &body)?;
    let shown = money::show(minor.unwrap_or(number(&original, "amount_minor")), currency);
    Ok(Report::new(format!("returned {shown}\n{}\n", text(&answer, "id")), answer))
}

pub(super) fn close(client: &Client) -> Result<Report, Failure> {
    let answer: Value = client.post("/v1/close", &json!({}))?;
    let shown =
        format!("closed: the bank returns what was not promised\n{}\n", text(&answer, "id"));
    Ok(Report::new(shown, answer))
}

pub(super) fn balance(client: &Client) -> Result<Report, Failure> {
    let answer: Value = client.get("/v1/balance")?;
    let Ok(currency) = currency_of(&answer) else {
        let shown = "the bank has granted nothing yet: give it the output of `hundi id`\n";
        return Ok(Report::new(shown, answer));
    };
    let rows = [
        ("can pay now", "can_pay_now_minor"),
        ("left under the grant", "left_minor"),
        ("promised, not settled", "promised_unsettled_minor"),
        ("received, verified", "received_verified_minor"),
        ("received, settled", "received_settled_minor"),
    ];
    let shown = rows.map(|(name, field)| {
        let minor = number(&answer, field);
        format!("{name:<24}{:>16} {currency}\n", money::show_number(minor, currency))
    });
    Ok(Report::new(shown.concat(), answer))
}

pub(super) fn history(client: &Client) -> Result<Report, Failure> {
    let answer: Value = client.get("/v1/history")?;
    let rows = answer["payments"].as_array().cloned().unwrap_or_default();
    let mut shown = String::new();
    for row in &rows {
        let currency = currency_of(row)?;
        let direction = if text(row, "direction") == "in" { "from" } else { "to" };
        let sure = if row["unsure"] == Value::Bool(true) { " (unsure)" } else { "" };
        shown.push_str(&format!(
            "{:>14} {currency}  {:<10}{sure} {:<7} {direction} {:.20}…  {}\n  {}\n",
            money::show_number(number(row, "amount_minor"), currency),
            text(row, "state"),
            text(row, "kind"),
            text(row, "counterparty"),
            text(row, "memo"),
            text(row, "id"),
        ));
    }
    if rows.is_empty() {
        shown.push_str("no payments yet\n");
    }
    Ok(Report::new(shown, answer))
}

fn own_currency(client: &Client) -> Result<Currency, Failure> {
    let answer: Value = client.get("/v1/balance")?;
    currency_of(&answer).map_err(|_| {
        Failure::usage(anyhow::anyhow!(
            "no bank has granted this device a currency yet: name one, as in `request 12.50 INR`"
        ))
    })
}

fn currency_of(answer: &Value) -> Result<Currency, Failure> {
    money::parse_currency(text(answer, "currency")).map_err(Failure::usage)
}

fn parse(amount: &str, currency: Currency) -> Result<u64, Failure> {
    let parsed: Result<_, ParseMoneyError> = money::parse_amount(amount, currency);
    parsed.map(|amount| amount.minor()).map_err(Failure::usage)
}

pub(super) fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field].as_str().unwrap_or_default()
}

pub(super) fn number(answer: &Value, field: &str) -> u64 {
    answer[field].as_u64().unwrap_or_default()
}
