//! Settings of the sign-in: whether a person may be prompted, and by which flow.

use ssoinv_sso::context::{Interaction, SignInFlow};

use super::layers::Layers;
use super::list::{NO_BROWSER, NO_INPUT, REDIRECT_PORT, USE_DEVICE_CODE};
use super::source::SettingValue;
use super::values::switch_flag;
use crate::browser::Browser;
use crate::cli::SignInArgs;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::terminal::Terminal;

/// Settings of the sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignInSettings {
    /// Never prompt, and the source of that setting.
    pub(crate) no_input: SettingValue<bool>,
    /// True if this is a job of a CI service.
    pub(crate) is_ci: bool,
    /// A device code was requested: a person reads it, even in a log.
    pub(crate) use_device_code: bool,
    pub(crate) flow: SignInFlow,
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
        // A port is for the page, so a port of higher precedence overrides `use_device_code`.
        let means_page = port.value.is_some() && port.source.is_above(&device_code.source);
        let use_device_code = device_code.value && !means_page;
        // With a named port, the user has made sure that the browser reaches it.
        let comes_back = port.value.is_some() || environment.browser_comes_back();
        let no_browser = layers.value(&NO_BROWSER, switch_flag(args.no_browser, args.browser))?;
        Ok(Self {
            no_input: layers.resolve(&NO_INPUT, switch_flag(args.no_input, args.input))?,
            is_ci: environment.is_ci(),
            use_device_code,
            flow: if comes_back && !use_device_code {
                SignInFlow::Page { redirect_port: port.value }
            } else {
                SignInFlow::DeviceCode
            },
            browser: if no_browser { Browser::None } else { Browser::System },
        })
    }

    /// Returns the policy of a collecting command. A requested device code is shown even without a terminal.
    pub(crate) fn policy(&self, terminal: &Terminal, demo: bool) -> SignInPolicy {
        if demo {
            return SignInPolicy::DEMO;
        }
        let reaches_person = self.use_device_code || (terminal.on_stderr && !self.is_ci);
        let prompts = reaches_person && !self.no_input.value;
        let interaction = if prompts { Interaction::Person } else { Interaction::None };
        SignInPolicy { interaction, flow: self.flow }
    }
}

/// The permission to prompt for a sign-in, and the flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignInPolicy {
    pub(crate) interaction: Interaction,
    pub(crate) flow: SignInFlow,
}

impl SignInPolicy {
    pub(crate) const NEVER: Self = Self { interaction: Interaction::None, flow: SignInFlow::DeviceCode };

    /// A simulated person approves a device code.
    pub(crate) const DEMO: Self = Self { interaction: Interaction::Person, flow: SignInFlow::DeviceCode };
}
