/** The form that asks a device something. */

import { JsonText } from '/static/js/json-text.js';
import { byId, element } from './dom.js';
import { duration } from './format.js';

const PAYLOADS = {
    echo: '{"text": "hello"}',
    slow_task: '{"seconds": 3, "steps": 10}',
};
const EVERY_MS = 1000;

export class Ask {
    #service;
    #devices = [];
    #online = false;
    #underWay = false;
    #timer = undefined;

    constructor(service) {
        this.#service = service;
        byId('ask').addEventListener('submit', (event) => {
            event.preventDefault();
            this.#send();
            this.#repeat();
        });
        byId('ask-device').addEventListener('change', () => this.#showCommands());
        byId('ask-command').addEventListener('change', () => this.#suggest());
        byId('ask-repeat').addEventListener('change', () => this.#repeat());
    }

    showDevices(devices) {
        this.#devices = devices;
        const select = byId('ask-device');
        const chosen = select.value;
        const options = devices.map(({ id, name, online }) =>
            element('option', { value: id }, online ? name : `${name} (offline)`),
        );
        select.replaceChildren(...options);
        if (devices.length === 0) select.append(element('option', {}, 'none yet'));
        const best = devices.find(({ id }) => id === chosen) ?? devices.find((one) => one.online);
        if (best) select.value = best.id;
        select.disabled = devices.length === 0;
        this.#showCommands();
    }

    /** Whether there is a connection to send by. */
    enable(online) {
        this.#online = online;
        byId('ask-send').disabled = !online || this.#devices.length === 0;
    }

    #showCommands() {
        const device = this.#devices.find(({ id }) => id === byId('ask-device').value);
        const commands = device?.commands?.length ? device.commands : ['echo'];
        const select = byId('ask-command');
        const chosen = select.value;
        select.replaceChildren(...commands.map((name) => element('option', {}, name)));
        select.value = commands.includes(chosen)
            ? chosen
            : commands.includes('echo')
              ? 'echo'
              : commands[0];
        select.disabled = !device;
        if (select.value !== chosen) this.#suggest();
        this.enable(this.#online);
    }

    #suggest() {
        byId('ask-payload').value = PAYLOADS[byId('ask-command').value] ?? '{}';
    }

    /** Each second from now on, while that is asked for; what is sent at once is the button's. */
    #repeat() {
        clearInterval(this.#timer);
        if (byId('ask-repeat').checked)
            this.#timer = setInterval(() => this.#underWay || this.#send(), EVERY_MS);
    }

    async #send() {
        const input = byId('ask-payload');
        let payload;
        try {
            payload = new JsonText(input.value.trim() || 'null');
        } catch (error) {
            input.setAttribute('aria-invalid', 'true');
            this.#say(`The payload is not JSON: ${error.message}`, true);
            return;
        }
        input.removeAttribute('aria-invalid');
        const deviceId = byId('ask-device').value;
        const command = byId('ask-command').value;
        this.#underWay = true;
        this.#say(`Asking for ${command}…`);
        const onProgress = (_, text) => this.#say(`At work: ${shortened(text)}`);
        try {
            const options = { onProgress };
            const response = await this.#service.request(deviceId, command, payload, options);
            const { pingMs } = response.trace;
            const took = pingMs === null ? '' : ` after ${duration(pingMs)}`;
            this.#say(`Answered${took}: ${shortened(response.payloadText)}`);
        } catch (error) {
            this.#say(`${error.message} (${error.code ?? error.name})`, true);
        } finally {
            this.#underWay = false;
        }
    }

    #say(text, bad = false) {
        const result = byId('ask-result');
        result.textContent = text;
        result.toggleAttribute('data-bad', bad);
    }
}

function shortened(text) {
    return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
