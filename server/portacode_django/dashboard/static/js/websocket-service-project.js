/** A project page's connection: the devices of that project. */

import { SocketService } from '/static/js/socket-service.js';

export { RequestError, clockStatus } from '/static/js/socket-service.js';

export class ProjectWebSocketService extends SocketService {
    constructor(slug, clock) {
        super(`/ws/projects/${encodeURIComponent(slug)}/`, clock);
    }
}
