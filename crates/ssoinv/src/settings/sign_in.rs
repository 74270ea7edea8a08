//! Whether a command may ask a person to sign in, and how.

use ssoinv_sso::context::{Flow, Interaction};

use super::layers::Layers;
use super::list::{NO_BROWSER, NO_INPUT, REDIRECT_PORT, USE_DEVICE_CODE};
use super::source::SettingValue;
use super::values::switch_flag;
use crate::browser::Browser;
use crate::cli::SignInArgs;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::terminal::Terminal;

/// Who is asked to sign in, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignInSettings {
    /// Nobody is to be asked, and who said so.
    pub(crate) no_input: SettingValue<bool>,
    /// This is a job of a CI service.
    pub(crate) is_ci: bool,
    /// Somebody reads what is said, and approves the code.
    pub(crate) use_device_code: bool,
    pub(crate) flow: Flow,
    pub(crate) browser: Browser,
}

impl SignInSettings {
    pub(crate) fn new(
        args: &SignInArgs,
        layers: &Layers,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        let device_code =
            layers.resolve(&USE_DEVICE_CODE, switch_flag(args.use_device_code, args.no_use_device_code))?;
        let port = layers.resolve(&REDIRECT_PORT, args.redirect_port.map(Some))?;
        // A port is for the page, so whoever names one above a set `use_device_code` means the page.
        let means_page = port.value.is_some() && port.source.is_above(&device_code.source);
        let use_device_code = device_code.value && !means_page;
        // Whoever names a port has seen to it that the browser can come back to it.
        let comes_back = port.value.is_some() || environment.browser_comes_back();
        let no_browser = layers.value(&NO_BROWSER, switch_flag(args.no_browser, args.browser))?;
        Ok(Self {
            no_input: layers.resolve(&NO_INPUT, switch_flag(args.no_input, args.input))?,
            is_ci: environment.is_ci(),
            use_device_code,
            flow: if comes_back && !use_device_code {
                Flow::Page { redirect_port: port.value }
            } else {
                Flow::DeviceCode
            },
            browser: if no_browser { Browser::None } else { Browser::System },
        })
    }

    /// Whether a collecting command may ask somebody. Whoever wants a code reads it, even where no terminal is.
    pub(crate) fn policy(&self, terminal: &Terminal, demo: bool) -> SignInPolicy {
        if demo {
            return SignInPolicy::DEMO;
        }
        let somebody = self.use_device_code || (terminal.on_stderr && !self.is_ci);
        let asked = somebody && !self.no_input.value;
        let interaction = if asked { Interaction::Person } else { Interaction::Nobody };
        SignInPolicy { interaction, flow: self.flow }
    }
}

/// Whether a command may ask somebody to sign in, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignInPolicy {
    pub(crate) interaction: Interaction,
    pub(crate) flow: Flow,
}

impl SignInPolicy {
    pub(crate) const NEVER: Self = Self { interaction: Interaction::Nobody, flow: Flow::DeviceCode };

    /// A simulated person, to whom no browser comes back.
    pub(crate) const DEMO: Self = Self { interaction: Interaction::Person, flow: Flow::DeviceCode };
}
