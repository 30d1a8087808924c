//! Who holds the connections: a thread that may speak TCP, since it was started before the engine's gave that away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::super::llama::rpc;
use super::super::protocol::{CancelFlag, EngineError, Server};
use super::relay::Relay;

/// What the operator is asked to do, and where the answer goes.
struct Order {
    servers: Vec<Server>,
    answer: Sender<Result<(), String>>,
}

/// All relays that were ever started, and whether llama.cpp knows them; it never forgets one.
static RELAYS: Mutex<Vec<(Arc<Relay>, bool)>> = Mutex::new(Vec::new());
/// Those that a model is shared among.
static HELD: Mutex<Vec<Arc<Relay>>> = Mutex::new(Vec::new());
static IS_HELD: AtomicBool = AtomicBool::new(false);

/// Starts the operator, if it does not run. What calls first has to be a thread that may speak TCP.
pub fn begin() {
    orders();
}

/// Reaches these servers, for a model that is going to be loaded, and makes their devices known to llama.cpp. Others are
/// let go.
///
/// # Errors
/// A sentence, if one of them cannot be used.
pub fn hold(servers: &[Server]) -> Result<(), String> {
    let nobody = || "the thread that reaches RPC servers has ended; restart tuichat".to_owned();
    let (answer, answered) = channel();
    let order = Order { servers: servers.to_vec(), answer };
    let sent = orders().lock().unwrap_or_else(PoisonError::into_inner).send(order);
    sent.map_err(|_| nobody())?;
    answered.recv().map_err(|_| nobody())?
}

/// Lets them go: the model is gone.
pub fn release() {
    IS_HELD.store(false, Ordering::Relaxed);
    held(|held| held.drain(..).for_each(|relay| relay.close()));
}

/// Whether a model is shared.
pub fn is_held() -> bool {
    IS_HELD.load(Ordering::Relaxed)
}

/// Whether one of the servers went away: what was computed since then is nothing.
pub fn is_lost() -> bool {
    is_held() && lost().is_some()
}

/// Which one, in a sentence.
pub fn lost() -> Option<String> {
    held(|held| held.iter().find_map(|relay| relay.lost()))
}

/// Whether all servers are still there, while nothing is computed.
///
/// # Errors
/// The sentence of [`lost`].
pub fn check() -> Result<(), EngineError> {
    held(|held| held.iter().for_each(|relay| relay.look()));
    lost().map_or(Ok(()), |sentence| Err(EngineError::ServerLost(sentence)))
}

/// A server that says nothing is given up some time after one of these is set.
pub fn wait_for(flags: &[&CancelFlag]) {
    if is_held() {
        held(|held| held.iter().for_each(|relay| relay.wait_for(flags)));
    }
}

/// The server of a relay, by the name that llama.cpp has for it; `None` if no model is shared with it.
pub fn name_of(endpoint: &str) -> Option<String> {
    held(|held| held.iter().find(|relay| relay.endpoint() == endpoint).map(|relay| relay.server().to_string()))
}

fn held<T>(work: impl FnOnce(&mut Vec<Arc<Relay>>) -> T) -> T {
    work(&mut HELD.lock().unwrap_or_else(PoisonError::into_inner))
}

fn orders() -> &'static Mutex<Sender<Order>> {
    static ORDERS: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    ORDERS.get_or_init(|| {
        let (orders, received) = channel();
        if let Err(error) = std::thread::Builder::new().name("rpc operator".into()).spawn(|| serve(received)) {
            tracing::warn!(%error, "nobody will reach RPC servers");
        }
        Mutex::new(orders)
    })
}

fn serve(orders: Receiver<Order>) {
    for Order { servers, answer } in orders {
        release();
        let reached = servers.iter().map(reach).collect::<Result<Vec<_>, _>>();
        let _ = answer.send(reached.map(|relays| {
            held(|held| *held = relays);
            IS_HELD.store(true, Ordering::Relaxed);
        }));
    }
}

/// Reaches a server, and makes it known to llama.cpp if it is not.
fn reach(server: &Server) -> Result<Arc<Relay>, String> {
    let mut relays = RELAYS.lock().unwrap_or_else(PoisonError::into_inner);
    let at = match relays.iter().position(|(relay, _)| relay.server() == server) {
        Some(at) => at,
        None => {
            let started = Relay::start(server);
            relays.push((started.map_err(|error| format!("there is no port for {server} here ({error})"))?, false));
            relays.len() - 1
        }
    };
    let (relay, is_known) = &mut relays[at];
    relay.open()?;
    if !*is_known {
        rpc::add_server(&relay.endpoint())?;
        *is_known = true;
    }
    relay.lost().map_or(Ok(Arc::clone(relay)), Err)
}
