# docker build -t whatsapp-sms-fallback .   See docs/deploying.md.

FROM node:22.20.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No dependency needs its install script.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY build.js tsconfig.json tsconfig.build.json ormconfig.ts ./
COPY src src
COPY dashboard dashboard
COPY migrations migrations
RUN npm run build

FROM node:22.20.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:22.20.0-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY build.js package.json LICENSE ./
USER node
EXPOSE 3000
# Liveness only: a service whose database is away is not helped by a restart.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/health/live`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# As npm run start:prod.
CMD ["node", "--max-semi-space-size=64", "--use-largepages=silent", "dist/src/main.js"]
