/** Workshop: the Anthropic-compatible proxy that every model call goes through. */
export { startGateway, type Gateway, type GatewayOptions } from './gateway.ts'
