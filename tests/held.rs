//! A run that a test can stop at a known place.

use std::sync::{Mutex, mpsc};

use ssoinv_sim::{Options, Organisation, Token};

use crate::support::{Impostor, Live, World};

/// A simulated organisation in which the calls to S3 of the last account wait until the test releases them, and then fail.
pub(crate) struct Held {
    pub(crate) world: World,
    /// Receives a message for each call that waits.
    seen: mpsc::Receiver<()>,
    /// Releases a call.
    pub(crate) go: mpsc::Sender<()>,
}

impl Held {
    /// The account that waits comes last in the config file.
    pub(crate) fn new(organisation: Organisation) -> Self {
        let (saw, seen) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let (saw, gone) = (Mutex::new(saw), Mutex::new(gone));
        let impostor = Impostor::start(move |_| {
            saw.lock().expect("no panic").send(()).expect("the test waits");
            // An error means that the test has ended: the call is released then, too.
            let _ = gone.lock().expect("no panic").recv();
            Impostor::http(
                "403 Forbidden",
                "application/xml",
                "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>No</Message></Error>",
            )
        });
        let world = World::without_home(organisation, Options::default());
        let organisation = world.simulator.organisation();
        let last = organisation.account(organisation.len() - 1).id;
        let sound: Vec<String> =
            (0..organisation.len() - 1).map(|index| organisation.account(index).id).collect();
        let sound: Vec<&str> = sound.iter().map(String::as_str).collect();
        let profile = format!(
            "[profile held]\nsso_session = acme\nsso_account_id = {last}\nsso_role_name = ReadOnlyAccess\n\
             region = us-east-1\nservices = held\nendpoint_url = {}\n\n\
             [services held]\ns3 =\n  endpoint_url = {}\n",
            world.simulator.url(),
            impostor.url,
        );
        let home = world.simulator.home().accounts(&sound).token(Token::Good);
        home.text(&profile).write(world.home.path()).expect("a home");
        Self { world, seen, go }
    }

    /// Starts a command, and returns when a call waits.
    pub(crate) fn start(&self, arguments: &str) -> Live {
        let live = Live::start(self.world.command(arguments));
        self.wait();
        live
    }

    pub(crate) fn wait(&self) {
        self.seen.recv_timeout(std::time::Duration::from_mins(2)).expect("a call");
    }
}
