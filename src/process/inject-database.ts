import { getDataSourceToken, InjectDataSource } from '@nestjs/typeorm';

/** The name of the service's data source, beside those of an application that imports the module. */
export const DATA_SOURCE = 'whatsapp-sms-fallback';

/** The injection token of the service's own DataSource. */
export const DATA_SOURCE_TOKEN = getDataSourceToken(DATA_SOURCE);

/** Injects the service's own DataSource. */
export const InjectDatabase = (): ParameterDecorator => InjectDataSource(DATA_SOURCE);
