/** The dashboard's connection: all of the user's devices. */

import { SocketService } from '/static/js/socket-service.js';

export { RequestError, clockStatus } from '/static/js/socket-service.js';

export class WebSocketService extends SocketService {
    constructor(clock) {
        super('/ws/dashboard/', clock);
    }
}
